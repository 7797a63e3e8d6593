/* The shelf: kept pictures, as keys in the browser's storage, apart for each model. */

import { arrowKeys, drawTiles, faceOf, oneStop, tile, tileAt } from "./tile.js";
import { fromKey } from "./face.js";

const MOST = 100;

export class Shelf {
  /**
   * @param {object} parts root, an element; info; space; pictures; open(face) for a click;
   *   changed(faces) whenever it is put up; failed(error); say and note(text).
   */
  constructor(parts) {
    Object.assign(this, parts);
    const { dataset, height, width, z_dim, z_dist } = this.info;
    this.name = `dcgan-explorer ${dataset} ${height}x${width} ${z_dist} ${z_dim}`;
    this.faces = this.#load();
    arrowKeys(this.root);
    this.root.addEventListener("click", (event) => this.#click(event.target));
    this.root.addEventListener("keydown", (event) => {
      const button = tileAt(event.target);
      if (button && ["Delete", "Backspace"].includes(event.key)) this.#removeAt(button);
    });
    addEventListener("storage", (event) => {
      if (event.key !== this.name) return; // another window of this page kept something
      this.faces = this.#load();
      this.show();
    });
  }

  has(face) {
    return this.faces.some((other) => other.key === face.key);
  }

  add(face) {
    if (this.has(face)) return;
    if (this.faces.length >= MOST) {
      return this.say(`The shelf is full (${MOST}): remove a picture first.`);
    }
    this.#set([...this.faces, face]);
    this.root.lastElementChild.scrollIntoView({ block: "nearest", inline: "end" });
    this.note(`${face.name} kept.`);
  }

  remove(face) {
    this.#set(this.faces.filter((other) => other.key !== face.key));
    this.note(`${face.name} is no longer kept.`);
  }

  /** Shows which one is in the studio. */
  point(face) {
    this.shown = face;
    for (const button of this.root.querySelectorAll(".tile")) {
      button.setAttribute("aria-current", faceOf(button).key === face.key);
    }
  }

  /** Draws what an error left empty. */
  redraw() {
    return drawTiles(this.pictures, [...this.root.querySelectorAll(".tile")], this.failed);
  }

  #click(target) {
    const slot = target.closest("li");
    if (!slot) return;
    const button = slot.querySelector(".tile");
    if (target.closest(".remove")) this.#removeAt(button);
    else if (tileAt(target)) this.open(faceOf(button), button);
  }

  #removeAt(button) {
    const place = [...this.root.children].indexOf(button.closest("li"));
    this.remove(faceOf(button));
    const slots = this.root.querySelectorAll(".tile");
    slots[Math.min(place, slots.length - 1)]?.focus();
  }

  #set(faces) {
    this.faces = faces;
    try {
      localStorage.setItem(this.name, JSON.stringify(faces.map((face) => face.key)));
    } catch {
      this.say("This browser stores nothing for this page: kept pictures are lost when you close it.");
    }
    this.show();
  }

  #load() {
    let keys = [];
    try {
      keys = JSON.parse(localStorage.getItem(this.name) ?? "[]");
    } catch {
      // No storage, or something else in our place: the shelf is empty, and the page works.
    }
    const faces = [];
    for (const key of Array.isArray(keys) ? keys.slice(0, MOST) : []) {
      try {
        faces.push(fromKey(this.space, String(key)));
      } catch {
        // A key of another model or a damaged one: the others are still worth showing.
      }
    }
    return faces;
  }

  /** Puts up what is kept, and tells the others. */
  show() {
    const slots = this.faces.map((face) => {
      const slot = document.createElement("li");
      const remove = document.createElement("button");
      Object.assign(remove, { type: "button", className: "remove", textContent: "×", tabIndex: -1 });
      remove.setAttribute("aria-label", `Remove ${face.name}`);
      slot.append(tile(face, this.info), remove);
      return slot;
    });
    this.root.replaceChildren(...slots);
    oneStop([...this.root.querySelectorAll(".tile")]);
    if (this.shown) this.point(this.shown);
    this.redraw();
    this.changed(this.faces);
  }
}
