"use strict";

const SVG = "http://www.w3.org/2000/svg";
const BLACK_KEYS = new Set([1, 3, 6, 8, 10]);
/** Pixels that a quarter note has at least where a roll may be wider than its box. */
const QUARTER_PIXELS = 9;
const LEAST_KEYS = 15;

/**
 * Draws a piano roll into a box, in place of what was there.
 *
 * The box gets the number of notes as `data-notes`; in a box of class `scrolled`, long melodies are
 * wider than the box. Returns the element of each note.
 */
function drawRoll(box, notes, colour) {
  const pitches = notes.map((note) => note.pitch);
  let low = Math.min(...pitches) - 2;
  let high = Math.max(...pitches) + 2;
  const more = Math.max(0, LEAST_KEYS - (high - low + 1));
  low -= Math.floor(more / 2);
  high += Math.ceil(more / 2);
  const quarters = notes[notes.length - 1].end;
  const scrolled = box.classList.contains("scrolled");
  const width = Math.max(box.clientWidth, scrolled ? Math.min(quarters * QUARTER_PIXELS, 30000) : 0);
  const height = box.clientHeight;
  const row = height / (high - low + 1);
  const across = width / quarters;
  const top = (pitch) => (high - pitch) * row;

  const svg = element("svg", { width, height, viewBox: `0 0 ${width} ${height}`, "aria-hidden": "true" });
  for (let pitch = low; pitch <= high; pitch++) {
    const key = ((pitch % 12) + 12) % 12;
    if (BLACK_KEYS.has(key)) svg.append(element("rect", { class: "black", x: 0, y: top(pitch), width, height: row }));
    if (key === 0) svg.append(element("line", { class: "octave", x1: 0, x2: width, y1: top(pitch) + row, y2: top(pitch) + row }));
  }
  const drawn = notes.map((note) =>
    element("rect", {
      class: "note",
      x: note.onset * across,
      y: top(note.pitch) + row * 0.06,
      // A gap tells a repeated note from a long one.
      width: Math.max((note.end - note.onset) * across - Math.min(1, across * 0.1), 0.7),
      height: Math.max(row * 0.88, 1),
      rx: Math.min(row * 0.25, 2),
    }),
  );
  svg.append(...drawn);
  box.style.setProperty("--of", colour);
  box.dataset.notes = notes.length;
  box.replaceChildren(svg);
  box.scrollLeft = 0;
  return drawn;
}

function element(name, attributes) {
  const made = document.createElementNS(SVG, name);
  for (const [key, value] of Object.entries(attributes)) made.setAttribute(key, value);
  return made;
}
