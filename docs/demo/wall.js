/* The wall: an endless list of pictures, drawn as they come near the window. */

import { arrowKeys, canvasOf, faceOf, oneStop, tile, tileAt } from "./tile.js";
import { paint } from "./pixels.js";

const STEP = 48; // pictures hung at once: full rows of 2, 3, 4, 6, 8, 12 and 16
const AHEAD = "600px"; // of scrolling, so that fast hands find pictures too

export class Wall {
  /**
   * @param {object} parts root and more, elements; info; pictures; pick(face, tile) for a click;
   *   isKept(face); failed(error) when pictures could not be drawn.
   */
  constructor(parts) {
    Object.assign(this, parts);
    this.drawing = new AbortController();
    arrowKeys(this.root);
    this.root.addEventListener("click", ({ target }) => {
      const button = tileAt(target);
      if (button) this.pick(faceOf(button), button);
    });
    this.more.addEventListener("click", () => {
      // After the button was pressed by key, the first new picture is where to go on, or the last.
      const goesOn = document.activeElement === this.more;
      const tiles = this.#hang();
      if (goesOn) (tiles[0] ?? this.root.lastElementChild).focus({ preventScroll: true });
    });
    const near = new IntersectionObserver((seen) => seen[0].isIntersecting && this.#fill(), {
      rootMargin: AHEAD,
    });
    near.observe(this.more);
  }

  /** Takes everything down and hangs faceAt(0), faceAt(1), ... */
  show(faceAt) {
    this.drawing.abort(new DOMException("another wall", "AbortError"));
    this.drawing = new AbortController();
    this.faceAt = faceAt;
    this.root.replaceChildren();
    this.#fill();
  }

  /** Draws everything again, as what is drawn has changed; what is far below is hung again later. */
  refresh() {
    const tiles = this.#tiles();
    const far = tiles.findIndex((t) => t.getBoundingClientRect().top > innerHeight + parseInt(AHEAD));
    const kept = far < 0 ? tiles.length : Math.max(STEP, Math.ceil(far / STEP) * STEP);
    for (const button of tiles.slice(kept)) button.remove();
    if (kept < tiles.length) this.more.hidden = false;
    this.drawing.abort(new DOMException("another version", "AbortError"));
    this.drawing = new AbortController();
    const seen = (t) => t.getBoundingClientRect().bottom > 0;
    const all = this.#tiles();
    return this.#draw([...all.filter(seen), ...all.filter((t) => !seen(t))]);
  }

  /** Draws what an error left empty. */
  redraw() {
    return this.#draw(this.#tiles().filter((t) => !canvasOf(t).classList.contains("painted")));
  }

  /** Says of every tile whether its face is kept. */
  mark() {
    this.#tiles().forEach((button) => this.#markOne(button));
  }

  #tiles() {
    return [...this.root.children];
  }

  /** Says which one is in the studio. */
  point(face) {
    this.shown = face;
    this.#tiles().forEach((button) => this.#current(button));
  }

  #current(button) {
    const now = String(faceOf(button).key === this.shown?.key);
    if (button.getAttribute("aria-current") !== now) button.setAttribute("aria-current", now);
  }

  #markOne(button) {
    const [face, kept] = [faceOf(button), this.isKept(faceOf(button))];
    this.#current(button);
    button.classList.toggle("kept", kept);
    button.setAttribute("aria-label", kept ? `${face.name}, kept` : face.name);
  }

  /** Hangs pictures until the button behind them leaves the window. */
  #fill() {
    if (!this.faceAt) return;
    while (this.more.getBoundingClientRect().top < innerHeight + parseInt(AHEAD)) {
      if (!this.#hang().length) break;
    }
  }

  #hang() {
    const start = this.root.children.length;
    const faces = Array.from({ length: STEP }, (_, i) => this.faceAt(start + i));
    const tiles = faces.filter(Boolean).map((face) => tile(face, this.info));
    this.root.append(...tiles);
    this.more.hidden = tiles.length < STEP; // the end of a list, or the last seed of 64 bits
    tiles.forEach((button) => this.#markOne(button));
    if (start === 0) oneStop(tiles);
    else oneStop(tiles, null);
    this.#draw(tiles);
    return tiles;
  }

  async #draw(tiles) {
    try {
      await this.pictures.get(tiles.map(faceOf), {
        signal: this.drawing.signal,
        each: (bitmap, i) => paint(canvasOf(tiles[i]), bitmap),
      });
    } catch (error) {
      if (error.name !== "AbortError") this.failed(error);
    }
  }
}
