"use strict";

const HIDDEN = 0;
const DIM = 1;
const SHOWN = 2;
const MARGIN = 26;
const MOST_ZOOM = 400;

/** The canvas: which part of the map it shows, and the dots on it. */
class MapView {
  constructor(canvas, places) {
    this.canvas = canvas;
    this.places = places;
    this.context = canvas.getContext("2d");
    this.state = new Uint8Array(places.count).fill(SHOWN);
    this.paint = new Uint8Array(places.count);
    this.colours = ["#888"];
    this.chosen = -1;
    this.pointed = -1;
    this.near = [];
    this.order = shuffled(places.count);
    this.dots = null;
    this.zoom = 1;
    this.x = 0.5;
    this.y = 0.5;
    new ResizeObserver(() => this.resize()).observe(canvas);
    this.resize();
  }

  /** Which colour each melody has, an index into colours. */
  setPaint(paint, colours) {
    this.paint = paint;
    this.colours = colours;
    this.redraw();
  }

  /** HIDDEN, DIM or SHOWN for each melody. */
  setState(state) {
    this.state = state;
    this.canvas.dataset.shown = state.reduce((sum, each) => sum + (each === SHOWN), 0);
    this.redraw();
  }

  resize() {
    this.width = this.canvas.clientWidth;
    this.height = this.canvas.clientHeight;
    this.ratio = window.devicePixelRatio || 1;
    this.canvas.width = Math.round(this.width * this.ratio);
    this.canvas.height = Math.round(this.height * this.ratio);
    this.dots = null;
    this.redraw();
  }

  /** Pixels that the whole map takes. */
  get size() {
    return Math.max(Math.min(this.width, this.height) - 2 * MARGIN, 50) * this.zoom;
  }

  get radius() {
    const share = (0.235 * this.size) / this.zoom / Math.sqrt(this.places.count);
    return Math.min(clamp(share, 1.4, 6.5) * this.zoom ** 0.4, 10);
  }

  /** Pixels of a melody. */
  at(i) {
    return [
      (this.places.x[i] - this.x) * this.size + this.width / 2,
      (this.places.y[i] - this.y) * this.size + this.height / 2,
    ];
  }

  /** The melody at some pixels, or near enough; -1 for none. */
  hit(px, py, slack = 8) {
    const x = (px - this.width / 2) / this.size + this.x;
    const y = (py - this.height / 2) / this.size + this.y;
    return this.places.nearest(x, y, (this.radius + slack) / this.size, (i) => this.state[i] !== HIDDEN);
  }

  move(dx, dy) {
    this.x = clamp(this.x - dx / this.size, 0, 1);
    this.y = clamp(this.y - dy / this.size, 0, 1);
    this.redraw();
  }

  /** Zooms so that what lies at some pixels stays there. */
  zoomBy(factor, px = this.width / 2, py = this.height / 2) {
    const before = this.size;
    this.zoom = clamp(this.zoom * factor, 0.8, MOST_ZOOM);
    const shift = 1 / before - 1 / this.size;
    this.x = clamp(this.x + (px - this.width / 2) * shift, 0, 1);
    this.y = clamp(this.y + (py - this.height / 2) * shift, 0, 1);
    this.redraw();
  }

  showAll() {
    this.zoom = 1;
    this.x = this.y = 0.5;
    this.redraw();
  }

  /** Moves the map where a melody lies outside, or at the rim. */
  reveal(i) {
    const [px, py] = this.at(i);
    const rim = Math.min(60, this.width / 6, this.height / 6);
    if (px > rim && py > rim && px < this.width - rim && py < this.height - rim) return;
    this.x = this.places.x[i];
    this.y = this.places.y[i];
    this.redraw();
  }

  redraw() {
    if (this.waiting) return;
    this.waiting = requestAnimationFrame(() => {
      this.waiting = 0;
      this.draw();
    });
  }

  draw() {
    const { context, width, height } = this;
    if (!width || !height) return;
    this.styles = getComputedStyle(document.documentElement);
    this.dots ??= new Dots(this.canvas.width, this.canvas.height, this.colour("--ground"));
    this.dots.clear();
    const dim = rgb(this.colour("--dim"));
    this.drawDots(DIM, this.colours.map(() => dim));
    this.drawDots(SHOWN, this.colours.map(rgb));
    context.putImageData(this.dots.image, 0, 0);
    context.setTransform(this.ratio, 0, 0, this.ratio, 0, 0);
    if (this.chosen >= 0) this.drawLines();
    for (const { melody } of this.near) this.ring(melody, 2, 1.2);
    if (this.chosen >= 0) this.ring(this.chosen, 4.5, 2.4);
    if (this.pointed >= 0 && this.pointed !== this.chosen) this.ring(this.pointed, 3, 1.6);
  }

  drawDots(wanted, colours) {
    const { places, state, paint, dots, ratio } = this;
    const size = this.size * ratio;
    const stamp = dots.stamp(this.radius * ratio, 0.7 * ratio);
    const left = (this.width * ratio) / 2 - this.x * size;
    const top = (this.height * ratio) / 2 - this.y * size;
    for (const i of this.order) {
      if (state[i] !== wanted) continue;
      dots.draw(places.x[i] * size + left, places.y[i] * size + top, stamp, colours[paint[i]]);
    }
  }

  drawLines() {
    const { context } = this;
    const [x, y] = this.at(this.chosen);
    context.strokeStyle = this.colour("--quiet");
    context.lineWidth = 1;
    context.globalAlpha = 0.55;
    context.beginPath();
    for (const { melody } of this.near) {
      if (this.state[melody] === HIDDEN) continue;
      context.moveTo(x, y);
      context.lineTo(...this.at(melody));
    }
    context.stroke();
    context.globalAlpha = 1;
  }

  ring(i, gap, thick) {
    if (this.state[i] === HIDDEN) return;
    const { context } = this;
    context.strokeStyle = this.colour("--text");
    context.lineWidth = thick;
    context.beginPath();
    context.arc(...this.at(i), this.radius + gap, 0, 7);
    context.stroke();
  }

  colour(name) {
    return this.styles.getPropertyValue(name);
  }

  /** To be called where the colours of the page have changed. */
  recolour() {
    this.dots = null;
    this.redraw();
  }
}

/** An order in which no class lies above another: of a fixed seed, so that it is the same each time. */
function shuffled(count) {
  const order = Int32Array.from({ length: count }, (_, i) => i);
  let seed = 12345;
  for (let i = count - 1; i > 0; i--) {
    seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
    const j = Math.floor((seed / 2 ** 32) * (i + 1));
    [order[i], order[j]] = [order[j], order[i]];
  }
  return order;
}
