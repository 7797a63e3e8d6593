/* The panel of sliders: one for each principal direction of the generator's projection (SeFa: Shen
   and Zhou 2021). A slider stands where the picture stands, so it also says what a picture is. */

const REACH = 3; // standard deviations of the prior: 997 of 1000 pictures are inside
const OPEN = 8; // sliders shown at once

export class Directions {
  /** @param {object} parts root, an element; space; change(z, settled). */
  constructor(parts) {
    Object.assign(this, parts);
    const rows = this.space.directions.map((_, i) => this.#row(i));
    if (!rows.length) {
      this.root.append(
        Object.assign(document.createElement("p"), { textContent: "This model has no directions." }),
      );
    }
    this.root.append(...rows.slice(0, OPEN));
    if (rows.length <= OPEN) return;
    const more = document.createElement("details");
    const summary = document.createElement("summary");
    summary.textContent = `${rows.length - OPEN} weaker directions`;
    more.append(summary, ...rows.slice(OPEN));
    this.root.append(more);
  }

  start(face) {
    this.z = face.z;
    this.#place();
  }

  #row(direction) {
    const row = document.createElement("label");
    row.className = "slider";
    const strength = this.space.strengths[direction] / this.space.strengths[0];
    row.innerHTML = `<span class="number">${direction + 1}<i aria-hidden="true"></i></span>
      <input type="range" min="${-REACH}" max="${REACH}" step="0.05"><output></output>`;
    row.querySelector("i").style.inlineSize = `${100 * strength}%`;
    row.title = `Direction ${direction + 1}, of strength ${strength.toFixed(2)}`;
    const input = row.querySelector("input");
    input.setAttribute("aria-label", `Direction ${direction + 1}`);
    const move = (settled) => {
      this.z = this.space.moved(this.z, direction, Number(input.value));
      this.#place(input);
      this.change(this.z, settled);
    };
    input.addEventListener("input", () => move(false));
    input.addEventListener("change", () => move(true));
    return row;
  }

  /** Sets the sliders to where the vector stands; the one in the hand is left to the hand. */
  #place(held) {
    for (const [i, input] of this.root.querySelectorAll("input").entries()) {
      const at = this.space.along(this.z, i);
      if (input !== held) input.value = at;
      const text = at.toFixed(1).replace("-", "−").replace("−0.0", "0.0");
      input.nextElementSibling.value = text;
      input.setAttribute("aria-valuetext", `${text} standard deviations`);
    }
  }
}
