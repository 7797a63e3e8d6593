/* The panel that adds kept pictures to the one in the studio, and takes them away. */

import { drawTiles, faceOf, tile } from "./tile.js";

export class Arithmetic {
  /** @param {object} parts root, an element; info; space; pictures; change(z, settled); failed. */
  constructor(parts) {
    Object.assign(this, parts);
    this.root.addEventListener("click", ({ target }) => {
      const button = target.closest("[data-sign]");
      if (button) this.#toggle(faceOf(button.parentElement.querySelector(".tile")), button);
    });
  }

  start(face) {
    this.base = face;
    this.signs = new Map(); // key -> {face, sign}
  }

  /** Shows the kept pictures, each with a minus and a plus. */
  shelfChanged(faces) {
    for (const key of this.signs.keys()) {
      if (!faces.some((face) => face.key === key)) this.signs.delete(key);
    }
    const rows = faces.map((face) => this.#row(face));
    this.root.replaceChildren(...rows);
    const tiles = rows.map((row) => row.querySelector(".tile"));
    drawTiles(this.pictures, tiles, this.failed);
  }

  #row(face) {
    const row = document.createElement("div");
    row.className = "term";
    const picture = tile(face, this.info);
    picture.disabled = true; // the signs below it are what to press
    row.append(this.#button(face, -1), picture, this.#button(face, 1));
    return row;
  }

  #button(face, sign) {
    const button = document.createElement("button");
    button.type = "button";
    button.dataset.sign = sign;
    button.textContent = sign > 0 ? "+" : "−";
    button.setAttribute("aria-label", `${sign > 0 ? "Add" : "Subtract"} ${face.name}`);
    button.setAttribute("aria-pressed", this.signs.get(face.key)?.sign === sign);
    return button;
  }

  #toggle(face, button) {
    const sign = Number(button.dataset.sign);
    if (this.signs.get(face.key)?.sign === sign) this.signs.delete(face.key);
    else this.signs.set(face.key, { face, sign });
    for (const other of button.parentElement.querySelectorAll("[data-sign]")) {
      const pressed = this.signs.get(face.key)?.sign === Number(other.dataset.sign);
      other.setAttribute("aria-pressed", pressed);
    }
    const terms = [...this.signs.values()].map((term) => ({ z: term.face.z, sign: term.sign }));
    this.change(this.space.sum([{ z: this.base.z, sign: 1 }, ...terms]), true);
  }
}
