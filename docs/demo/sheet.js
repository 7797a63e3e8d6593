/* On a telephone the studio is a sheet over the wall, raised and lowered; on a wide screen it stands
   beside the wall, and there is nothing to do. A raised sheet is an entry of the browser's history,
   so that Back closes it. */

export class Sheet {
  /** @param {object} elements page, what the sheet covers; studio; close. */
  constructor({ page, studio, close }) {
    Object.assign(this, { page, studio, close });
    this.narrow = matchMedia("(max-width: 899px)");
    this.narrow.addEventListener("change", () => this.lower());
    close.addEventListener("click", () => this.dismiss());
    addEventListener("keydown", (event) => event.key === "Escape" && this.dismiss());
  }

  /** Whether the studio is a sheet now. */
  get covers() {
    return this.narrow.matches;
  }

  /** Makes the address an entry of the history, one that Back leaves to where the wall is. */
  enter(address) {
    if (location.hash === address && (!this.covers || history.state?.sheet)) return;
    history.pushState(this.covers ? { sheet: true } : null, "", address);
  }

  raise() {
    if (!this.covers || this.page.inert) return;
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

  /** Closes it as Back does, whose entry would otherwise open it again. */
  dismiss() {
    if (this.page.inert && history.state?.sheet) history.back(); // popstate lowers it
    else this.lower();
  }
}
