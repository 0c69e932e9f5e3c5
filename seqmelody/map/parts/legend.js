"use strict";

/** Which colour each melody has, and the key to it; classes can be hidden. */
class Legend {
  /** `onPaint(paint, colours)` is told of colours, `onFilter()` of what is hidden or pointed at. */
  constructor(box, melodies, onPaint, onFilter) {
    this.box = box;
    this.melodies = melodies;
    this.onPaint = onPaint;
    this.onFilter = onFilter;
    this.dark = matchMedia("(prefers-color-scheme: dark)");
    this.hidden = new Set();
    this.previewed = -1;
    this.choices = [melodies.label, melodies.score].filter(Boolean);
    this.by = this.choices[0];
    this.makeChoice();
    this.apply();
  }

  get byScore() {
    return this.by === this.melodies.score;
  }

  makeChoice() {
    const group = this.box.querySelector(".by");
    group.hidden = this.choices.length < 2;
    const buttons = this.choices.map((each) => {
      const button = document.createElement("button");
      button.type = "button";
      button.textContent = each.name;
      button.setAttribute("aria-pressed", each === this.by);
      button.addEventListener("click", () => {
        this.by = each;
        this.hidden.clear();
        for (const other of buttons) other.setAttribute("aria-pressed", other === button);
        this.apply();
        this.onFilter();
      });
      return button;
    });
    group.replaceChildren(...buttons);
  }

  /** Gives the melodies their colours, and draws the key. */
  apply() {
    const { melodies, by } = this;
    const css = getComputedStyle(document.documentElement);
    const none = css.getPropertyValue("--none").trim();
    const paint = new Uint8Array(melodies.count);
    if (by.labels) {
      const own = Array.from({ length: by.own }, (_, k) => css.getPropertyValue(`--c${k}`).trim());
      this.colours = [...own, css.getPropertyValue("--other").trim(), none];
      for (let i = 0; i < melodies.count; i++) {
        const label = melodies.labelOf[i];
        paint[i] = label < 0 ? by.own + 1 : Math.min(label, by.own);
      }
    } else {
      const scale = melodies.scale[this.dark.matches ? "dark" : "light"];
      const values = this.byScore ? melodies.scoreOf : melodies.labelOf;
      const [low, high] = by.ends;
      this.colours = [...scale, none];
      for (let i = 0; i < melodies.count; i++) {
        const part = high > low ? (values[i] - low) / (high - low) : 0.5;
        paint[i] = Number.isNaN(values[i]) ? scale.length : clamp(Math.floor(part * scale.length), 0, scale.length - 1);
      }
    }
    this.paint = paint;
    this.onPaint(paint, this.colours);
    this.box.querySelector(".key").replaceChildren(...(by.labels ? this.classKey() : this.scaleKey()));
  }

  colourOf(i) {
    return this.colours[this.paint[i]];
  }

  /** Whether a melody's class is to be seen. */
  shows(i) {
    return !this.hidden.has(this.paint[i]);
  }

  /** Whether a melody stands back, for another class is pointed at. */
  standsBack(i) {
    return this.previewed >= 0 && this.paint[i] !== this.previewed;
  }

  classKey() {
    const { by, melodies } = this;
    const counts = new Uint32Array(by.own + 2);
    for (const paint of this.paint) counts[paint]++;
    const others = by.labels.length - by.own;
    const names = [...by.labels.slice(0, by.own), `${others} others`, `no ${by.name}`];
    const list = document.createElement("ul");
    const all = document.createElement("button");
    const buttons = new Map();
    const update = () => {
      for (const [place, button] of buttons) button.setAttribute("aria-pressed", !this.hidden.has(place));
      all.hidden = this.hidden.size === 0;
      this.onFilter();
    };
    names.forEach((name, place) => {
      if (!counts[place]) return;
      const button = document.createElement("button");
      button.type = "button";
      button.title = "Click to hide or show; Shift-click for this one only";
      button.style.setProperty("--of", this.colours[place]);
      button.append(part("dot"), part("text", name), part("figure", counts[place].toLocaleString("en")));
      button.addEventListener("click", (event) => {
        this.previewed = -1;
        if (event.shiftKey) this.hidden = new Set([...buttons.keys()].filter((each) => each !== place));
        else if (!this.hidden.delete(place)) this.hidden.add(place);
        update();
      });
      const preview = (on) => () => {
        this.previewed = on && !this.hidden.has(place) ? place : -1;
        this.onFilter();
      };
      button.addEventListener("pointerenter", (event) => event.pointerType === "mouse" && preview(true)());
      button.addEventListener("pointerleave", preview(false));
      button.addEventListener("focus", () => button.matches(":focus-visible") && preview(true)());
      button.addEventListener("blur", preview(false));
      buttons.set(place, button);
      button.setAttribute("aria-pressed", !this.hidden.has(place));
      const item = document.createElement("li");
      item.append(button);
      list.append(item);
    });
    all.type = "button";
    all.className = "all";
    all.textContent = "Show all";
    all.hidden = this.hidden.size === 0;
    all.addEventListener("click", () => {
      this.hidden.clear();
      update();
    });
    const heading = document.createElement("h3");
    heading.textContent = by.name;
    heading.hidden = this.choices.length > 1;
    return [heading, list, all];
  }

  scaleKey() {
    const { by } = this;
    const scale = this.colours.slice(0, -1);
    const heading = document.createElement("h3");
    heading.textContent = by.name;
    heading.hidden = this.choices.length > 1;
    const bar = part("bar");
    bar.style.display = "block";
    bar.style.background = `linear-gradient(to right, ${scale.join(", ")})`;
    const ends = part("ends");
    ends.append(part("", figure(Number(by.ends[0].toPrecision(4)))), part("", figure(Number(by.ends[1].toPrecision(4)))));
    return [heading, bar, ends];
  }
}

/** A span of a class, with text. */
function part(name, text = "") {
  const made = document.createElement("span");
  made.className = name;
  made.textContent = text;
  return made;
}
