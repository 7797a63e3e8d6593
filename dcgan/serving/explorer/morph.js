/* The panel that morphs: from the picture in the studio into another one. */

import { arrowKeys, drawTiles, faceOf, oneStop, tile, tileAt } from "./tile.js";
import { edited } from "./face.js";

const FRAMES = 32; // steps of the slider, all drawn at once so that it moves freely
const SWEEP_MS = 1100; // after a drag, from the first picture to halfway

export class Morph {
  /**
   * @param {object} parts elements: from, into, slide, choices; info; space; pictures;
   *   change(z, settled); failed(error).
   */
  constructor(parts) {
    Object.assign(this, parts);
    const { slide, choices } = this.elements;
    slide.max = FRAMES;
    arrowKeys(choices);
    choices.addEventListener("click", ({ target }) => {
      if (tileAt(target)) this.into(faceOf(tileAt(target)));
    });
    const move = (settled) => {
      cancelAnimationFrame(this.sweep);
      this.#at(Number(slide.value), settled);
    };
    slide.addEventListener("input", () => move(false));
    slide.addEventListener("change", () => move(true));
  }

  /** Takes the picture to start from; where to go to is chosen later. */
  start(face) {
    cancelAnimationFrame(this.sweep);
    this.from = face;
    this.other = null;
    this.elements.slide.disabled = true;
    this.elements.slide.value = 0;
    this.#ends();
  }

  /** Shows the kept pictures to choose from. */
  shelfChanged(faces) {
    const tiles = faces.filter((face) => face.key !== this.from.key).map((face) => tile(face, this.info));
    this.elements.choices.replaceChildren(...tiles);
    oneStop(tiles);
    drawTiles(this.pictures, tiles, this.failed);
    this.#markChosen();
  }

  /** Morphs into a face, and moves there by itself as far as halfway. */
  async into(face) {
    this.other = face;
    this.elements.slide.disabled = false;
    this.#ends();
    this.#markChosen();
    this.frames = Array.from({ length: FRAMES + 1 }, (_, i) =>
      edited(this.space, this.space.between(this.from.z, face.z, i / FRAMES)),
    );
    try {
      await this.pictures.get(this.frames, { urgent: true });
    } catch (error) {
      return this.failed(error);
    }
    if (this.other === face) this.#sweep();
  }

  #at(frame, settled) {
    this.elements.slide.value = frame;
    this.elements.slide.setAttribute("aria-valuetext", `${Math.round((100 * frame) / FRAMES)} %`);
    this.change(this.frames[frame].z, settled);
  }

  #sweep() {
    const half = FRAMES / 2;
    if (matchMedia("(prefers-reduced-motion: reduce)").matches) return this.#at(half, true);
    const begun = performance.now();
    const step = (now) => {
      const t = Math.min(1, Math.max(0, (now - begun) / SWEEP_MS));
      this.#at(Math.round(half * (1 - (1 - t) ** 3)), t === 1);
      if (t < 1) this.sweep = requestAnimationFrame(step);
    };
    this.sweep = requestAnimationFrame(step);
  }

  #ends() {
    for (const [end, face] of [["from", this.from], ["into", this.other]]) {
      const button = face && tile(face, this.info);
      if (button) {
        button.disabled = true; // shows an end; there is nothing to press
        drawTiles(this.pictures, [button], this.failed);
      }
      this.elements[end].replaceChildren(...(button ? [button] : []));
    }
  }

  #markChosen() {
    for (const button of this.elements.choices.children) {
      button.setAttribute("aria-pressed", faceOf(button).key === this.other?.key);
    }
  }
}
