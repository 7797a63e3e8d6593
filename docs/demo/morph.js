/* The panel that morphs: from the picture in the studio into another one, or through all that are
   kept; plays it, and saves it as a film and as a strip. */

import { arrowKeys, drawTiles, faceOf, oneStop, tile, tileAt } from "./tile.js";
import { edited } from "./face.js";

const FRAMES = 32; // steps of the slider, all drawn at once so that it moves freely
const FEWEST = 4; // between two pictures, where many are kept
const MOST = 128; // altogether, about
const SWEEP_MS = 1100; // after a drag, from the first picture to halfway
const FRAME_MS = 60; // when played
const STRIP = 8; // steps of a strip between two pictures

export class Morph {
  /**
   * @param {object} parts elements: from, into, slide, choices, play, film, strip; info; space;
   *   pictures; change(z, settled); saveFilm and saveStrip(faces, name); failed(error).
   */
  constructor(parts) {
    Object.assign(this, parts);
    const { slide, choices, play, film, strip } = this.elements;
    arrowKeys(choices);
    choices.addEventListener("click", ({ target }) => {
      if (tileAt(target)) this.into(faceOf(tileAt(target)));
      else if (target.closest(".all")) this.through(this.kept);
    });
    const move = (settled) => {
      this.#stop();
      this.#at(Number(slide.value), settled);
    };
    slide.addEventListener("input", () => move(false));
    slide.addEventListener("change", () => move(true));
    play.addEventListener("click", () => (this.playing ? this.#stop() : this.#play()));
    film.addEventListener("click", () => this.saveFilm(this.frames, this.#name(), FRAME_MS));
    strip.addEventListener("click", () => {
      const every = Math.max(1, Math.round(this.steps / STRIP));
      this.saveStrip(this.frames.filter((_, i) => i % every === 0), this.#name());
    });
  }

  /** Takes the picture to start from; where to go to is chosen later. */
  start(face) {
    this.from = face;
    this.way = [face];
    this.#enable(false);
    this.elements.slide.value = 0;
    this.#ends();
  }

  /** Plays no longer: something else is in the studio. */
  stop() {
    cancelAnimationFrame(this.animation);
    this.playing = false;
    this.elements.play.textContent = "Play";
  }

  /** Shows the kept pictures to choose from. */
  shelfChanged(faces) {
    this.kept = faces.filter((face) => face.key !== this.from.key);
    const tiles = this.kept.map((face) => tile(face, this.info));
    const all = document.createElement("button");
    Object.assign(all, { type: "button", className: "all", textContent: "All of them, in order" });
    this.elements.choices.replaceChildren(...tiles, ...(tiles.length > 1 ? [all] : []));
    oneStop(tiles);
    drawTiles(this.pictures, tiles, this.failed);
    this.#markChosen();
  }

  /** Morphs into a face, and moves there by itself as far as halfway. */
  async into(face) {
    if (await this.#take([this.from, face])) this.#sweep();
  }

  /** Morphs through several faces, and plays it. */
  async through(faces) {
    if (await this.#take([this.from, ...faces])) this.#play();
  }

  /** Draws all frames of a way; whether it is still the one wanted. */
  async #take(way) {
    this.stop();
    this.way = way;
    this.#ends();
    this.#markChosen();
    const parts = way.length - 1;
    this.steps = Math.min(FRAMES, Math.max(FEWEST, Math.floor(MOST / parts)));
    const at = (i) => Math.min(parts - 1, Math.floor(i / this.steps));
    this.frames = Array.from({ length: parts * this.steps + 1 }, (_, i) => {
      const [a, b] = [way[at(i)], way[at(i) + 1]];
      return edited(this.space, this.space.between(a.z, b.z, i / this.steps - at(i)));
    });
    this.elements.slide.max = this.frames.length - 1;
    this.elements.slide.value = 0;
    try {
      await this.pictures.get(this.frames, { urgent: true });
    } catch (error) {
      this.failed(error);
      return false;
    }
    if (this.way !== way) return false;
    this.#enable(true);
    return true;
  }

  #enable(can) {
    const { slide, play, film, strip } = this.elements;
    for (const control of [slide, play, film, strip]) control.disabled = !can;
  }

  #name() {
    const [first, last] = [this.way[0], this.way.at(-1)];
    return `${first.name}-to-${last.name}`.toLowerCase().replaceAll(" ", "-");
  }

  #at(frame, settled) {
    const { slide } = this.elements;
    slide.value = frame;
    const share = Math.round((100 * frame) / (this.frames.length - 1));
    slide.setAttribute("aria-valuetext", `${share} %`);
    this.change(this.frames[frame].z, settled);
  }

  #sweep() {
    const half = FRAMES / 2;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.#at(half, true);
    const begun = performance.now();
    this.#animate((now) => {
      const t = Math.min(1, Math.max(0, (now - begun) / SWEEP_MS));
      this.#at(Math.round(half * (1 - (1 - t) ** 3)), t === 1);
      return t < 1;
    });
  }

  /** To the end and back, from where the slider stands, until it is stopped. */
  #play() {
    this.stop();
    this.playing = true;
    this.elements.play.textContent = "Pause";
    const last = this.frames.length - 1;
    const begun = performance.now() - FRAME_MS * Number(this.elements.slide.value);
    this.#animate((now) => {
      const frame = Math.max(0, Math.floor((now - begun) / FRAME_MS)) % (2 * last);
      this.#at(Math.min(frame, 2 * last - frame), false);
      const isSeen = getComputedStyle(this.elements.play).visibility === "visible";
      if (!isSeen) this.stop(); // the sheet is down
      return isSeen;
    });
  }

  #animate(step) {
    const next = (now) => {
      if (step(now)) this.animation = requestAnimationFrame(next);
    };
    this.animation = requestAnimationFrame(next);
  }

  /** Stops where it is. */
  #stop() {
    const { playing } = this;
    this.stop();
    if (playing) this.#at(Number(this.elements.slide.value), true);
  }

  #ends() {
    const [first, last] = [this.way[0], this.way.length > 1 && this.way.at(-1)];
    for (const [end, face] of [["from", first], ["into", last]]) {
      const button = face && tile(face, this.info);
      if (button) {
        button.disabled = true; // shows an end; there is nothing to press
        drawTiles(this.pictures, [button], this.failed);
      }
      this.elements[end].replaceChildren(...(button ? [button] : []));
    }
  }

  #markChosen() {
    const chosen = this.way.slice(1).map((face) => face.key);
    for (const button of this.elements.choices.querySelectorAll(".tile")) {
      button.setAttribute("aria-pressed", chosen.includes(faceOf(button).key));
    }
  }
}
