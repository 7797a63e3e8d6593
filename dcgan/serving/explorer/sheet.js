/* On a telephone the studio is a sheet over the wall, raised and lowered; on a wide screen it stands
   beside the wall, and there is nothing to do. */

export class Sheet {
  /** @param {object} elements page, what the sheet covers; studio; close. */
  constructor({ page, studio, close }) {
    Object.assign(this, { page, studio });
    this.narrow = matchMedia("(max-width: 899px)");
    this.narrow.addEventListener("change", () => this.lower());
    close.addEventListener("click", () => this.lower());
    addEventListener("keydown", (event) => event.key === "Escape" && this.lower());
    this.close = close;
  }

  raise() {
    if (!this.narrow.matches || this.page.inert) return;
    this.before = document.activeElement;
    document.body.classList.add("raised");
    this.page.inert = true; // neither Tab nor a screen reader goes below the sheet
    this.close.focus();
  }

  lower() {
    if (!this.page.inert) return;
    document.body.classList.remove("raised");
    this.page.inert = false;
    this.before?.focus({ preventScroll: true });
  }
}
