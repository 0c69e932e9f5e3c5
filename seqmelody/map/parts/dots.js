"use strict";

/**
 * Dots written pixel by pixel into an image: a browser without a graphics card takes many times as long
 * for thousands of circles, or pictures of circles.
 */
class Dots {
  /** An image of so many pixels, all of a colour such as #ffffff. */
  constructor(width, height, ground) {
    this.image = new ImageData(width, height);
    this.bytes = this.image.data;
    this.pixels = new Uint32Array(this.bytes.buffer);
    this.ground = rgb(ground);
  }

  clear() {
    this.pixels.fill(this.packed(this.ground));
  }

  /** One dot; see `stamp` and `rgb`. */
  draw(x, y, stamp, colour) {
    const { width, height } = this.image;
    const px = Math.round(x);
    const py = Math.round(y);
    const { half } = stamp;
    if (px < -half || py < -half || px >= width + half || py >= height + half) return;
    const within = px >= half && py >= half && px < width - half && py < height - half;
    const [red, green, blue] = colour;
    const full = this.packed(colour);
    const { bytes, pixels } = this;
    const middle = py * width + px;
    for (let k = 0; k < stamp.offset.length; k++) {
      if (!within) {
        const column = px + stamp.dx[k];
        const row = py + stamp.dy[k];
        if (column < 0 || row < 0 || column >= width || row >= height) continue;
      }
      const at = middle + stamp.offset[k];
      const own = stamp.own[k];
      if (own === 1) {
        pixels[at] = full;
        continue;
      }
      const ground = stamp.ground[k];
      const under = 1 - own - ground;
      bytes[4 * at] = bytes[4 * at] * under + this.ground[0] * ground + red * own;
      bytes[4 * at + 1] = bytes[4 * at + 1] * under + this.ground[1] * ground + green * own;
      bytes[4 * at + 2] = bytes[4 * at + 2] * under + this.ground[2] * ground + blue * own;
    }
  }

  /**
   * What each pixel of a dot is made of: so much of its colour, so much of a rim that is the ground, by
   * which dots that overlap can be told apart.
   */
  stamp(radius, rim) {
    const half = Math.ceil(radius + rim + 0.5);
    const found = [];
    for (let dy = -half; dy <= half; dy++) {
      for (let dx = -half; dx <= half; dx++) {
        const far = Math.hypot(dx, dy);
        const own = clamp(radius - far + 0.5, 0, 1);
        const ground = clamp(radius + rim - far + 0.5, 0, 1) * (1 - own);
        if (own + ground > 0) found.push({ dx, dy, own, ground });
      }
    }
    return {
      half,
      offset: Int32Array.from(found, ({ dx, dy }) => dy * this.image.width + dx),
      dx: Int32Array.from(found, ({ dx }) => dx),
      dy: Int32Array.from(found, ({ dy }) => dy),
      own: Float32Array.from(found, ({ own }) => own),
      ground: Float32Array.from(found, ({ ground }) => ground),
    };
  }

  packed([red, green, blue]) {
    return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  }
}

/** Red, green and blue of a colour such as #1f6fc4 or #888. */
function rgb(colour) {
  const hex = colour.trim().slice(1);
  const size = hex.length / 3;
  return [0, 1, 2].map((k) => parseInt(hex.slice(k * size, (k + 1) * size).repeat(3 - size), 16));
}

function clamp(value, low, high) {
  return Math.min(Math.max(value, low), high);
}
