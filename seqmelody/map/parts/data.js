"use strict";

/** The melodies of the page, unpacked from what Python packed. */
class Melodies {
  /** Reads the element that holds them. */
  static async read(element) {
    const packed = JSON.parse(element.textContent);
    const values = await Promise.all(Object.values(packed).map(unpack));
    return new Melodies(Object.fromEntries(Object.keys(packed).map((name, i) => [name, values[i]])));
  }

  constructor(values) {
    Object.assign(this, values.about);
    this.labelOf = values.label;
    this.scoreOf = values.score;
    this.x = values.x;
    this.y = values.y;
    this.noteCount = values.notes;
    this.shownCount = values.shown;
    this.pitch = values.pitch;
    this.duration = values.duration;
    this.rest = values.rest;
    this.neighbour = values.neighbour;
    this.percent = values.percent;
    this.count = this.x.length;
    this.start = new Int32Array(this.count + 1);
    for (let i = 0; i < this.count; i++) this.start[i + 1] = this.start[i] + this.shownCount[i];
    this.searched = this.names.map((name, i) => plain(this.titles ? `${name} ${this.titles[i]}` : name));
  }

  /** The notes of a melody: pitch, and onset and end in quarter notes. */
  notes(i) {
    const notes = [];
    let now = 0;
    for (let at = this.start[i]; at < this.start[i + 1]; at++) {
      const onset = now;
      const end = onset + this.duration[at];
      notes.push({ pitch: this.pitch[at], onset: onset / this.stepsPerQuarter, end: end / this.stepsPerQuarter });
      now = end + this.rest[at];
    }
    return notes;
  }

  /** The nearest melodies, the nearest first, and how alike they are in percent. */
  nearest(i) {
    const first = i * this.neighbours;
    return Array.from({ length: this.neighbours }, (_, k) => ({
      melody: this.neighbour[first + k],
      percent: this.percent[first + k],
    }));
  }

  title(i) {
    return this.titles ? this.titles[i] : "";
  }

  /** What the label column says of a melody, as text; empty where it says nothing. */
  labelText(i) {
    if (!this.label) return "";
    if (this.label.labels) return this.labelOf[i] < 0 ? "" : this.label.labels[this.labelOf[i]];
    return Number.isNaN(this.labelOf[i]) ? "" : figure(this.labelOf[i]);
  }

  /** Label, score and length in a line. */
  facts(i) {
    const notes = `${this.noteCount[i].toLocaleString("en")} note${this.noteCount[i] === 1 ? "" : "s"}`;
    const label = this.label ? `${this.label.name}: ${this.labelText(i) || "none"}` : "";
    const score = this.score ? `score ${this.scoreOf[i].toFixed(2)}` : "";
    return [label, score, notes].filter(Boolean).join(" · ");
  }
}

/** The array, or whatever else, behind what `packing.py` made of it. */
async function unpack({ type, data }) {
  const bytes = Uint8Array.from(atob(data), (char) => char.charCodeAt(0));
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const buffer = await new Response(stream).arrayBuffer();
  if (type === "json") return JSON.parse(new TextDecoder().decode(buffer));
  const kinds = { Uint8Array, Int8Array, Uint16Array, Int32Array, Float32Array };
  return new kinds[type](buffer);
}

/** Text without case and accents, to be searched. */
function plain(text) {
  return text.normalize("NFD").replace(/\p{M}/gu, "").toLowerCase();
}

/** A number as a person would write it: whole ones as they are, so that 1850 stays a year. */
function figure(value) {
  return Number.isInteger(value) ? String(value) : String(Number(value.toPrecision(4)));
}

const KEYS = ["C", "C♯", "D", "E♭", "E", "F", "F♯", "G", "A♭", "A", "B♭", "B"];

/** A MIDI key by its name, such as C4. */
function keyName(pitch) {
  return KEYS[pitch % 12] + (Math.floor(pitch / 12) - 1);
}
