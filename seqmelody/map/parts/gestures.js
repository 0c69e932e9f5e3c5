"use strict";

/** Pixels that a finger or mouse may wander in a click. */
const CLICK_SLACK = 5;
const ARROWS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * Mouse, fingers and keys on the canvas.
 *
 * `tell` has `point(i, x, y)`, i = -1 for nothing; `click(i)`; `step(i)` for a melody reached by an arrow
 * key; and `toggle()`, to play or stop.
 */
function listenTo(view, tell) {
  const { canvas } = view;
  const down = new Map();
  let wandered = 0;

  const place = (event) => {
    const box = canvas.getBoundingClientRect();
    return [event.clientX - box.left, event.clientY - box.top];
  };
  const spread = () => {
    const [[ax, ay], [bx, by]] = [...down.values()];
    return { x: (ax + bx) / 2, y: (ay + by) / 2, size: Math.hypot(ax - bx, ay - by) };
  };

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    canvas.setPointerCapture(event.pointerId);
    if (down.size === 0) wandered = 0;
    down.set(event.pointerId, place(event));
  });

  canvas.addEventListener("pointermove", (event) => {
    const [x, y] = place(event);
    const before = down.get(event.pointerId);
    if (!before) {
      if (event.pointerType !== "touch") tell.point(view.hit(x, y), x, y);
      return;
    }
    wandered += Math.hypot(x - before[0], y - before[1]);
    if (down.size === 2) {
      const old = spread();
      down.set(event.pointerId, [x, y]);
      const now = spread();
      wandered = Infinity;
      view.move(now.x - old.x, now.y - old.y);
      view.zoomBy(now.size / Math.max(old.size, 1), now.x, now.y);
    } else if (wandered > CLICK_SLACK) {
      view.move(x - before[0], y - before[1]);
      canvas.classList.add("dragged");
      tell.point(-1);
      down.set(event.pointerId, [x, y]);
    }
  });

  const release = (event) => {
    if (!down.delete(event.pointerId) || down.size) return;
    canvas.classList.remove("dragged");
    if (event.type === "pointerup" && wandered <= CLICK_SLACK) {
      tell.click(view.hit(...place(event), event.pointerType === "touch" ? 16 : 8));
    }
  };
  canvas.addEventListener("pointerup", release);
  canvas.addEventListener("pointercancel", release);
  canvas.addEventListener("pointerleave", () => tell.point(-1));

  canvas.addEventListener(
    "wheel",
    (event) => {
      event.preventDefault();
      // A line, or a page, in pixels; a pinch on a touchpad comes as small steps with Ctrl.
      const pixels = event.deltaY * [1, 30, 400][event.deltaMode];
      view.zoomBy(Math.exp(-clamp(pixels, -300, 300) * (event.ctrlKey ? 0.01 : 0.002)), ...place(event));
      tell.point(-1);
    },
    { passive: false },
  );

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const shown = (i) => view.state[i] === SHOWN;
    if (event.key in ARROWS) {
      const [dx, dy] = ARROWS[event.key];
      const next =
        view.chosen < 0 ? view.places.nearest(view.x, view.y, 2, shown) : view.places.towards(view.chosen, dx, dy, shown);
      if (next >= 0) tell.step(next);
    } else if (event.key === "+" || event.key === "=") view.zoomBy(1.4);
    else if (event.key === "-") view.zoomBy(1 / 1.4);
    else if (event.key === "0") view.showAll();
    else if (event.key === "Enter" || event.key === " ") tell.toggle();
    else return;
    event.preventDefault();
  });
}
