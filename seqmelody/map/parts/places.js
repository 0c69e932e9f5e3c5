"use strict";

const SIDE = 65535;
const PER_CELL = 3;

/** Where the melodies lie in a square of side 1, in cells, so that the one at a place is found at once. */
class Places {
  constructor(x, y) {
    this.x = Float32Array.from(x, (value) => value / SIDE);
    // Upwards in Python, downwards on a screen.
    this.y = Float32Array.from(y, (value) => 1 - value / SIDE);
    this.count = x.length;
    this.cells = Math.max(1, Math.ceil(Math.sqrt(this.count / PER_CELL)));
    this.start = new Int32Array(this.cells ** 2 + 1);
    for (let i = 0; i < this.count; i++) this.start[this.cellOf(i) + 1]++;
    for (let c = 0; c < this.cells ** 2; c++) this.start[c + 1] += this.start[c];
    const next = this.start.slice();
    this.members = new Int32Array(this.count);
    for (let i = 0; i < this.count; i++) this.members[next[this.cellOf(i)]++] = i;
  }

  column(value) {
    return Math.min(this.cells - 1, Math.max(0, Math.floor(value * this.cells)));
  }

  cellOf(i) {
    return this.column(this.y[i]) * this.cells + this.column(this.x[i]);
  }

  /** The nearest melody that `wanted(i)` within a radius of a place; -1 for none. */
  nearest(x, y, radius, wanted) {
    let best = -1;
    let least = radius ** 2;
    for (let row = this.column(y - radius); row <= this.column(y + radius); row++) {
      for (let column = this.column(x - radius); column <= this.column(x + radius); column++) {
        const cell = row * this.cells + column;
        for (let at = this.start[cell]; at < this.start[cell + 1]; at++) {
          const i = this.members[at];
          const square = (this.x[i] - x) ** 2 + (this.y[i] - y) ** 2;
          if (square <= least && wanted(i)) {
            best = i;
            least = square;
          }
        }
      }
    }
    return best;
  }

  /** The melody to go to from one in a direction, the nearer and the straighter the better; -1 for none. */
  towards(from, dx, dy, wanted) {
    let best = -1;
    let least = Infinity;
    for (let i = 0; i < this.count; i++) {
      if (i === from || !wanted(i)) continue;
      const x = this.x[i] - this.x[from];
      const y = this.y[i] - this.y[from];
      const along = x * dx + y * dy;
      const aside = Math.abs(x * dy - y * dx);
      // Within 45 degrees; what lies aside counts twice.
      if (along <= 0 || aside > along) continue;
      const cost = along + 2 * aside;
      if (cost < least) {
        best = i;
        least = cost;
      }
    }
    return best;
  }
}
