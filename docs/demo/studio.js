/* The studio: one picture large, what can be done with it, and the panels that change it. */

import { edited } from "./face.js";
import { enlarge, paint, save } from "./pixels.js";
import { saveFilm, saveStrip } from "./film.js";
import { newest } from "./pictures.js";

const LARGE = 384; // pixels of the large view, about

export class Studio {
  /**
   * @param {object} parts elements: the page's elements by id; info; space; pictures; shelf;
   *   names, of directions; panels: {name: panel}, each with start(face), which takes the picture
   *   to work on; shown(face), told what is seen; like(face) for "more like this"; failed(error);
   *   say(text).
   */
  constructor(parts) {
    Object.assign(this, parts);
    const { elements } = this;
    this.factor = Math.max(1, Math.round(LARGE / Math.max(this.info.width, this.info.height)));
    this.redraw = newest(() => this.#draw());
    this.#offerSizes();
    elements.keep.addEventListener("click", () => {
      this.shelf[this.shelf.has(this.face) ? "remove" : "add"](this.face);
    });
    elements.like.addEventListener("click", () => this.like(this.face));
    elements.link.addEventListener("click", () => this.#copyLink());
    elements.save.addEventListener("click", () => this.#save());
    elements.reset.addEventListener("click", () => {
      this.open(this.original);
      this.address();
    });
    elements.look.addEventListener("change", () => {
      document.documentElement.dataset.look = elements.look.value;
      this.redraw();
    });
    this.#tabs();
  }

  /**
   * Shows a picture and starts the panel in front with it.
   * @param {object} face
   * @param {{panel?: string}} how a panel to bring to front.
   */
  open(face, { panel = this.panel } = {}) {
    this.original = face;
    this.#show(face);
    this.#select(panel);
    this.elements.reset.hidden = true;
  }

  /**
   * Shows what a panel made of the original.
   * @param {Float32Array} z
   * @param {boolean} settled whether the hand has let go, so that the address may follow.
   */
  change(z, settled) {
    this.#show(edited(this.space, z));
    this.elements.reset.hidden = false;
    const { key, name } = this.original;
    this.elements.reset.textContent = key.startsWith("seed=") ? `Back to ${name.toLowerCase()}` : "Undo";
    if (settled) this.address();
  }

  /** Draws everything again, as what is drawn has changed. */
  refresh() {
    this.redraw();
    this.panels[this.panel].start(this.face);
    this.shelfChanged();
  }

  /** Takes note that something was kept or let go. */
  shelfChanged() {
    this.#mark();
    this.panels[this.panel].shelfChanged?.(this.shelf.faces);
  }

  #mark() {
    const kept = this.shelf.has(this.face);
    this.elements.keep.setAttribute("aria-pressed", kept);
    this.elements.keep.textContent = kept ? "Kept" : "Keep";
  }

  /** Edits replace the address: going back leads to the picture before, not to a slider before. */
  address() {
    history.replaceState(history.state, "", this.names.address(this.face.key));
  }

  #show(face) {
    this.face = face;
    this.elements.name.textContent = face.name;
    this.shown(face);
    this.#mark();
    this.redraw();
  }

  async #draw() {
    const { face } = this;
    try {
      const [bitmap] = await this.pictures.get([face], { urgent: true });
      const { large, look } = this.elements;
      const picture = enlarge(bitmap, this.factor, look.value);
      if (large.width !== picture.width) [large.width, large.height] = [picture.width, picture.height];
      paint(large, picture);
      large.setAttribute("aria-label", face.name);
    } catch (error) {
      this.failed(error);
    }
  }

  #offerSizes() {
    const { width, height } = this.info;
    for (const factor of [1, 2, 4, 8, 16]) {
      if (factor * Math.max(width, height) > 2048) break;
      const size = width === height ? `${width * factor} px` : `${width * factor}×${height * factor}`;
      this.elements.size.add(new Option(size, factor));
    }
    this.elements.size.selectedIndex = Math.min(3, this.elements.size.length - 1);
  }

  async #copyLink() {
    this.address();
    try {
      await navigator.clipboard.writeText(location.href);
      this.say("Link copied.");
    } catch {
      this.say("The address bar now holds the link; copy it from there.");
    }
  }

  #save() {
    const name = this.face.name.toLowerCase().replaceAll(" ", "-");
    const { size } = this.elements;
    return this.#saved([this.face], `${name}-${size.value}x`, ([bitmap], { factor, look, name }) =>
      save(enlarge(bitmap, factor, look), `${name}.png`),
    );
  }

  /** Saves a film of faces, as large as the pictures are saved. */
  saveFilm(faces, name, milliseconds) {
    return this.#saved(faces, name, (bitmaps, how) => saveFilm(bitmaps, { ...how, milliseconds }));
  }

  saveStrip(faces, name) {
    return this.#saved(faces, name, saveStrip);
  }

  async #saved(faces, name, write) {
    const { size, look } = this.elements;
    const how = {
      factor: Number(size.value),
      look: look.value,
      name: `${this.info.dataset}-${name}`,
    };
    try {
      await write(await this.pictures.get(faces, { urgent: true }), how);
    } catch (error) {
      this.failed(error);
    }
  }

  /** Tabs as the ARIA practices describe them: arrow keys move among them, one is in front. */
  #tabs() {
    const tabs = [...this.elements.tabs.children];
    this.panel = tabs[0].dataset.panel;
    for (const [i, tab] of tabs.entries()) {
      tab.addEventListener("click", () => {
        this.original = this.face; // what the last panel made is what this one works on
        this.elements.reset.hidden = true;
        this.#select(tab.dataset.panel);
      });
      tab.addEventListener("keydown", (event) => {
        const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
        if (!step) return;
        const next = tabs[(i + step + tabs.length) % tabs.length];
        next.focus();
        next.click();
      });
    }
  }

  #select(panel) {
    this.panels[this.panel].stop?.();
    this.panel = panel;
    for (const tab of this.elements.tabs.children) {
      const front = tab.dataset.panel === panel;
      tab.setAttribute("aria-selected", front);
      tab.tabIndex = front ? 0 : -1;
      this.elements[tab.getAttribute("aria-controls")].hidden = !front;
    }
    this.panels[panel].start(this.original);
    this.shelfChanged();
  }
}
