"use strict";

const RESULTS = 40;

/** The page: what is pointed at, chosen, searched and played. */
class Page {
  constructor(melodies) {
    this.melodies = melodies;
    this.found = null;
    this.chosen = -1;
    this.rollNotes = [];
    this.view = new MapView(byId("map"), new Places(melodies.x, melodies.y));
    this.player = new Player((k) => this.showSounding(k), () => this.showStopped());
    this.legend = new Legend(
      byId("legend"),
      melodies,
      (paint, colours) => {
        this.view.setPaint(paint, colours);
        this.recolourLists();
      },
      () => this.filter(),
    );
    listenTo(this.view, {
      point: (i, x, y) => this.point(i, x, y),
      click: (i) => this.click(i),
      step: (i) => this.choose(i),
      toggle: () => this.toggle(),
    });
    byId("play").addEventListener("click", () => this.toggle());
    byId("zoom-in").addEventListener("click", () => this.view.zoomBy(1.6));
    byId("zoom-out").addEventListener("click", () => this.view.zoomBy(1 / 1.6));
    byId("zoom-all").addEventListener("click", () => this.view.showAll());
    this.listenToSearch();
    this.listenToTempo();
    addEventListener("keydown", (event) => event.key === "Escape" && this.escape(event));
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.view.recolour();
      this.legend.apply();
    });
    addEventListener("resize", () => this.chosen >= 0 && this.drawChosen());
    this.filter();
    document.body.dataset.ready = "true";
  }

  /** Shows what is pointed at beside it; the panel has what is chosen. */
  point(i, x, y) {
    const card = byId("hover");
    this.view.canvas.classList.toggle("pointed", i >= 0);
    if (i < 0 || i === this.chosen) {
      card.hidden = true;
    } else if (i !== this.view.pointed || card.hidden) {
      card.hidden = false;
      card.querySelector(".name").textContent = this.melodies.names[i];
      card.querySelector(".title").textContent = this.melodies.title(i);
      card.querySelector(".facts").textContent = this.melodies.facts(i);
      drawRoll(card.querySelector(".roll"), this.melodies.notes(i), this.legend.colourOf(i));
    }
    if (!card.hidden) this.placeCard(card, x, y);
    if (i !== this.view.pointed) {
      this.view.pointed = i;
      this.view.redraw();
    }
  }

  placeCard(card, x, y) {
    const { width, height } = this.view;
    const gap = 16;
    const left = x + gap + card.offsetWidth < width ? x + gap : x - gap - card.offsetWidth;
    const top = y + gap + card.offsetHeight < height ? y + gap : y - gap - card.offsetHeight;
    card.style.transform = `translate(${clamp(left, 4, Math.max(4, width - card.offsetWidth - 4))}px, ${clamp(top, 4, Math.max(4, height - card.offsetHeight - 4))}px)`;
  }

  click(i) {
    if (i < 0) {
      this.player.stop();
      this.unchoose();
    } else if (i === this.chosen && this.player.playing) {
      this.player.stop();
    } else {
      this.choose(i);
      this.play();
    }
  }

  /** Shows a melody in the panel. */
  choose(i) {
    const { melodies } = this;
    if (i !== this.chosen) this.player.stop();
    this.chosen = this.view.chosen = i;
    this.view.near = melodies.nearest(i);
    byId("hover").hidden = true;
    byId("chosen").hidden = false;
    byId("chosen").dataset.melody = i;
    byId("chosen-name").textContent = melodies.names[i];
    byId("chosen").querySelector(".title").textContent = melodies.title(i);
    byId("chosen").querySelector(".facts").textContent = melodies.facts(i);
    this.drawChosen();
    this.list(byId("nearest"), this.view.near.map(({ melody, percent }) => [melody, (percent / 100).toFixed(2)]));
    this.view.reveal(i);
    this.view.redraw();
  }

  unchoose() {
    this.chosen = this.view.chosen = -1;
    this.view.near = [];
    byId("chosen").hidden = true;
    this.view.redraw();
  }

  drawChosen() {
    const notes = this.melodies.notes(this.chosen);
    const box = byId("chosen").querySelector(".roll");
    this.rollNotes = drawRoll(box, notes, this.legend.colourOf(this.chosen));
    const pitches = notes.map((note) => note.pitch);
    const quarters = notes[notes.length - 1].end;
    const all = this.melodies.noteCount[this.chosen];
    const part = all > notes.length ? `first ${notes.length.toLocaleString("en")} of ${all.toLocaleString("en")} notes, ` : "";
    byId("chosen").querySelector(".range").textContent =
      `${part}${keyName(Math.min(...pitches))} to ${keyName(Math.max(...pitches))}, ${figure(quarters)} quarter notes`;
  }

  toggle() {
    if (this.chosen < 0) return;
    if (this.player.playing) this.player.stop();
    else this.play();
  }

  play() {
    this.player.play(this.melodies.notes(this.chosen), Number(byId("tempo").value));
    byId("play").setAttribute("aria-pressed", "true");
    byId("play").setAttribute("aria-label", "Stop");
    byId("chosen").querySelector(".roll").classList.add("playing");
    document.body.dataset.playing = this.chosen;
  }

  showSounding(k) {
    const box = byId("chosen").querySelector(".roll");
    this.silence();
    const note = this.rollNotes[k];
    note.classList.add("sounding");
    byId("sounding").textContent = keyName(this.melodies.pitch[this.melodies.start[this.chosen] + k]);
    const x = Number(note.getAttribute("x"));
    if (x < box.scrollLeft || x > box.scrollLeft + box.clientWidth * 0.8) box.scrollLeft = x - box.clientWidth * 0.15;
  }

  showStopped() {
    this.silence();
    byId("play").setAttribute("aria-pressed", "false");
    byId("play").setAttribute("aria-label", "Play");
    byId("chosen").querySelector(".roll").classList.remove("playing");
    delete document.body.dataset.playing;
  }

  silence() {
    for (const note of document.querySelectorAll(".note.sounding")) note.classList.remove("sounding");
    byId("sounding").textContent = "";
  }

  /** Undoes one thing at a time: playing, the search, the choice. */
  escape(event) {
    // A browser would empty the search as well.
    event.preventDefault();
    if (this.player.playing) this.player.stop();
    else if (byId("search").value) this.search("");
    else this.unchoose();
  }

  listenToTempo() {
    const tempo = byId("tempo");
    const show = () => (document.querySelector(".tempo output").textContent = tempo.value);
    tempo.addEventListener("input", show);
    tempo.addEventListener("change", () => this.player.playing && this.play());
    show();
  }

  listenToSearch() {
    const input = byId("search");
    input.addEventListener("input", () => this.search(input.value));
    input.addEventListener("keydown", (event) => {
      const first = document.querySelector("#results button");
      if (event.key === "Enter" && first) first.click();
      else if (event.key === "ArrowDown" && first) first.focus();
      else return;
      event.preventDefault();
    });
    byId("results").addEventListener("keydown", (event) => {
      const next = { ArrowDown: "nextElementSibling", ArrowUp: "previousElementSibling" }[event.key];
      if (!next) return;
      event.preventDefault();
      (event.target.closest("li")[next]?.firstElementChild ?? (event.key === "ArrowUp" ? input : event.target)).focus();
    });
  }

  /** Shows whose names hold a text, and lets the others stand back. */
  search(text) {
    if (byId("search").value !== text) byId("search").value = text;
    const wanted = plain(text.trim());
    this.found = null;
    if (wanted) {
      this.found = new Uint8Array(this.melodies.count);
      this.melodies.searched.forEach((name, i) => (this.found[i] = name.includes(wanted) ? 1 : 0));
    }
    this.filter();
  }

  /** What is hidden, stands back or is shown follows from the legend and the search. */
  filter() {
    const { melodies, legend, found } = this;
    const state = new Uint8Array(melodies.count);
    const hits = [];
    let count = 0;
    for (let i = 0; i < melodies.count; i++) {
      if (!legend.shows(i)) continue;
      state[i] = (found && !found[i]) || legend.standsBack(i) ? DIM : SHOWN;
      if (found && found[i] && ++count <= RESULTS) hits.push([i, ""]);
    }
    this.view.setState(state);
    const more = count > RESULTS ? `, the first ${RESULTS} are listed` : "";
    byId("found").textContent = found ? `${count.toLocaleString("en")} found${more}` : "";
    byId("results").hidden = !hits.length;
    const shown = hits.map(([i]) => i).join();
    // A list that is pointed at must not be made anew.
    if (byId("results").dataset.melodies !== shown) this.list(byId("results"), hits);
    byId("results").dataset.melodies = shown;
  }

  /** Fills a list with melodies to click on, each with a figure. */
  list(box, rows) {
    const items = rows.map(([i, figureText]) => {
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.melody = i;
      button.style.setProperty("--of", this.legend.colourOf(i));
      const name = part("text", this.melodies.names[i]);
      const title = this.melodies.title(i);
      if (title) {
        const small = document.createElement("small");
        small.textContent = ` ${title}`;
        name.append(small);
      }
      button.title = [this.melodies.names[i], title, this.melodies.facts(i)].filter(Boolean).join("\n");
      button.append(part("dot"), name, part("figure", figureText));
      button.addEventListener("click", () => {
        this.click(i);
        // The list of the nearest was made anew, and the button with it.
        if (!button.isConnected) byId("play").focus({ preventScroll: true });
      });
      for (const [type, on] of [["pointerenter", true], ["focus", true], ["pointerleave", false], ["blur", false]]) {
        button.addEventListener(type, () => {
          this.view.pointed = on ? i : -1;
          this.view.redraw();
        });
      }
      const item = document.createElement("li");
      item.append(button);
      return item;
    });
    box.replaceChildren(...items);
  }

  /** Lists and roll in the colours of the legend. */
  recolourLists() {
    // The legend calls this while it is being made.
    if (!this.legend) return;
    for (const button of document.querySelectorAll(".rows button")) {
      button.style.setProperty("--of", this.legend.colourOf(Number(button.dataset.melody)));
    }
    if (this.chosen >= 0) {
      byId("chosen").querySelector(".roll").style.setProperty("--of", this.legend.colourOf(this.chosen));
    }
  }
}

function byId(id) {
  return document.getElementById(id);
}

(async () => {
  try {
    new Page(await Melodies.read(byId("data")));
  } catch (error) {
    const trouble = byId("trouble");
    trouble.hidden = false;
    trouble.textContent =
      typeof DecompressionStream === "undefined"
        ? "This browser is too old for the map; it needs one from 2023 or later."
        : `The map cannot be drawn: ${error.message}`;
    throw error;
  }
})();
