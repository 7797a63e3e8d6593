/* The panel of sliders: one for each principal direction of the generator's projection (SeFa: Shen
   and Zhou 2021). A slider stands where the picture stands, so it also says what a picture is; a
   small picture at each end shows where it leads. */

import { emptyCanvas, paint } from "./pixels.js";
import { edited } from "./face.js";

const REACH = 3; // standard deviations of the prior: 997 of 1000 pictures are inside
const OPEN = 8; // sliders shown at once

export class Directions {
  /**
   * @param {object} parts root, an element; info; space; pictures; names; change(z, settled);
   *   named() after a direction got a name; failed(error).
   */
  constructor(parts) {
    Object.assign(this, parts);
    this.drawing = new AbortController();
    this.rows = this.space.directions.map((_, i) => this.#row(i));
    if (!this.rows.length) {
      this.root.append(
        Object.assign(document.createElement("p"), { textContent: "This model has no directions." }),
      );
    }
    this.root.append(...this.rows.slice(0, OPEN));
    if (this.rows.length <= OPEN) return;
    const more = document.createElement("details");
    const summary = document.createElement("summary");
    summary.textContent = `${this.rows.length - OPEN} weaker directions`;
    more.append(summary, ...this.rows.slice(OPEN));
    more.addEventListener("toggle", () => this.#drawEnds());
    this.root.append(more);
  }

  start(face) {
    this.z = face.z;
    this.#place();
    this.#drawEnds();
    for (const [i, row] of this.rows.entries()) this.#label(row, i);
  }

  #row(direction) {
    const row = document.createElement("div");
    row.className = "slider";
    const strength = this.space.strengths[direction] / this.space.strengths[0];
    row.innerHTML = `<input class="given" maxlength="24" autocomplete="off" spellcheck="false">
      <output></output>
      <button type="button" class="end" data-to="${-REACH}"></button>
      <input type="range" min="${-REACH}" max="${REACH}" step="0.05">
      <button type="button" class="end" data-to="${REACH}"></button>`;
    row.title = `Direction ${direction + 1}, strength ${strength.toFixed(2)}`;
    const given = row.querySelector(".given");
    given.placeholder = `Direction ${direction + 1}`;
    given.setAttribute("aria-label", `Name of direction ${direction + 1}`);
    given.addEventListener("keydown", (event) => event.key === "Enter" && given.blur());
    given.addEventListener("change", () => {
      this.names.give(direction, given.value);
      this.#label(row, direction);
      this.named();
    });
    const input = row.querySelector("[type=range]");
    const move = (settled) => {
      this.z = this.space.moved(this.z, direction, Number(input.value));
      this.#place(input);
      this.change(this.z, settled);
      if (settled) this.#drawEnds();
    };
    input.addEventListener("input", () => move(false));
    input.addEventListener("change", () => move(true));
    for (const end of row.querySelectorAll(".end")) {
      end.append(emptyCanvas(this.info));
      end.addEventListener("click", () => {
        input.value = end.dataset.to;
        move(true);
      });
    }
    this.#label(row, direction);
    return row;
  }

  #label(row, direction) {
    const name = this.names.of(direction) || `Direction ${direction + 1}`;
    row.querySelector(".given").value = this.names.of(direction);
    row.querySelector("[type=range]").setAttribute("aria-label", name);
    for (const end of row.querySelectorAll(".end")) {
      end.setAttribute("aria-label", `${name} to ${end.dataset.to.replace("-", "−")}`);
    }
  }

  /** Sets the sliders to where the vector stands; the one in the hand is left to the hand. */
  #place(held) {
    for (const [i, row] of this.rows.entries()) {
      const input = row.querySelector("[type=range]");
      const at = this.space.along(this.z, i);
      if (input !== held) input.value = at;
      const text = at.toFixed(1).replace("-", "−").replace("−0.0", "0.0");
      row.querySelector("output").value = text;
      input.setAttribute("aria-valuetext", `${text} standard deviations`);
    }
  }

  /** Draws the ends of the sliders that are shown, after what others wait for. */
  async #drawEnds() {
    this.drawing.abort(new DOMException("another picture", "AbortError"));
    this.drawing = new AbortController();
    const isOpen = this.root.querySelector("details")?.open;
    const ends = this.rows
      .slice(0, isOpen ? undefined : OPEN)
      .flatMap((row, i) => [...row.querySelectorAll(".end")].map((end) => ({ end, i })));
    const faces = ends.map(({ end, i }) =>
      edited(this.space, this.space.moved(this.z, i, Number(end.dataset.to))),
    );
    try {
      await this.pictures.get(faces, {
        signal: this.drawing.signal,
        each: (bitmap, k) => paint(ends[k].end.firstElementChild, bitmap),
      });
    } catch (error) {
      if (error.name !== "AbortError") this.failed(error);
    }
  }
}
