"use strict";

/** Seconds of music that lie ready: more than a browser lets a hidden page sleep. */
const AHEAD = 2.5;
const WAKE_MS = 400;

/** Plays one melody at a time with a soft synthesizer voice. */
class Player {
  /** `onNote(k)` is told of each note when it begins to sound, `onEnd()` of the end or a stop. */
  constructor(onNote, onEnd) {
    this.onNote = onNote;
    this.onEnd = onEnd;
    this.context = null;
    this.current = null;
  }

  get playing() {
    return this.current !== null;
  }

  /** Begins; must come from a click or a key, before which browsers keep pages silent. */
  play(notes, quartersPerMinute) {
    this.stop();
    this.context ??= new AudioContext();
    this.context.resume();
    const { context } = this;
    const out = context.createGain();
    out.gain.value = 0.5;
    out.connect(this.room());
    const second = 60 / quartersPerMinute;
    const begin = context.currentTime + 0.06;
    const times = notes.map(({ pitch, onset, end }) => ({ pitch, start: begin + onset * second, stop: begin + end * second }));
    const current = { out, times, next: 0, heard: -1 };
    this.current = current;
    current.timer = setInterval(() => this.schedule(current), WAKE_MS);
    this.schedule(current);
    const look = () => {
      if (this.current !== current) return;
      this.follow(current);
      requestAnimationFrame(look);
    };
    requestAnimationFrame(look);
  }

  stop() {
    const { current, context } = this;
    if (!current) return;
    this.current = null;
    clearInterval(current.timer);
    // A short fade: a wave that is cut clicks.
    current.out.gain.setTargetAtTime(0, context.currentTime, 0.015);
    setTimeout(() => current.out.disconnect(), 150);
    this.onEnd();
  }

  /** Hands over the notes of the next seconds. */
  schedule(current) {
    const until = this.context.currentTime + AHEAD;
    while (current.next < current.times.length && current.times[current.next].start < until) {
      this.voice(current.out, current.times[current.next++]);
    }
    // Here as well: a hidden page draws no frames.
    this.follow(current);
  }

  /** Tells which note sounds now, and stops behind the last. */
  follow(current) {
    const now = this.context.currentTime;
    const { times } = current;
    if (now > times[times.length - 1].stop + 0.25) {
      this.stop();
      return;
    }
    let heard = current.heard;
    while (heard + 1 < times.length && times[heard + 1].start <= now) heard++;
    if (heard !== current.heard) {
      current.heard = heard;
      this.onNote(heard);
    }
  }

  /** One note: a triangle wave and its octave, mellowed by a filter that closes as it fades. */
  voice(out, { pitch, start, stop }) {
    const { context } = this;
    const from = Math.max(start, context.currentTime);
    const hertz = 440 * 2 ** ((pitch - 69) / 12);
    const level = context.createGain();
    const filter = context.createBiquadFilter();
    filter.type = "lowpass";
    filter.frequency.setValueAtTime(Math.min(hertz * 7, 9000), from);
    filter.frequency.exponentialRampToValueAtTime(Math.min(hertz * 3, 6000), from + 0.35);
    // Ends a little early, so that repeated notes are heard as two.
    const end = Math.max(stop - 0.03, from + 0.05);
    level.gain.setValueAtTime(0, from);
    level.gain.linearRampToValueAtTime(0.55, from + 0.012);
    level.gain.setTargetAtTime(0.3, from + 0.012, 0.18);
    level.gain.setTargetAtTime(0, end, 0.05);
    filter.connect(level).connect(out);
    for (const [type, ratio, loudness] of [["triangle", 1, 1], ["sine", 2, 0.22]]) {
      const wave = context.createOscillator();
      const share = context.createGain();
      wave.type = type;
      wave.frequency.value = hertz * ratio;
      share.gain.value = loudness;
      wave.connect(share).connect(filter);
      wave.start(from);
      wave.stop(end + 0.4);
      wave.onended = () => share.disconnect();
    }
  }

  /** A trace of an echo, and a guard against clipping; made once. */
  room() {
    if (this.entrance) return this.entrance;
    const { context } = this;
    const guard = context.createDynamicsCompressor();
    guard.connect(context.destination);
    const delay = context.createDelay();
    delay.delayTime.value = 0.19;
    const wet = context.createGain();
    wet.gain.value = 0.16;
    const again = context.createGain();
    again.gain.value = 0.25;
    this.entrance = context.createGain();
    this.entrance.connect(guard);
    this.entrance.connect(delay);
    delay.connect(wet).connect(guard);
    delay.connect(again).connect(delay);
    return this.entrance;
  }
}
