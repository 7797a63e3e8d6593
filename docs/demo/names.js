/* Names that people give to directions: kept in the browser, apart for each model, and carried by
   links as &d1=smile. */

const LONGEST = 24; // characters

export class Names {
  /** @param {object} info the model's dcgan.json. */
  constructor({ dataset, directions = [] }) {
    this.count = directions.length;
    // Another training has other directions: a few numbers of the first tell them apart.
    this.place = `dcgan-directions ${dataset} ${directions[0]?.slice(0, 3)}`;
    this.names = new Map();
    try {
      this.#read(new URLSearchParams(localStorage.getItem(this.place) ?? ""));
    } catch {
      // No storage: names live as long as the page, and in its links.
    }
  }

  /** The name of a direction, from 0; "" where it has none. */
  of(direction) {
    return this.names.get(direction) ?? "";
  }

  give(direction, text) {
    const name = text.trim().slice(0, LONGEST);
    if (name) this.names.set(direction, name);
    else this.names.delete(direction);
    try {
      localStorage.setItem(this.place, this.#written());
    } catch {
      // See above.
    }
  }

  /** An address that holds a picture and the names. */
  address(key) {
    const names = this.#written();
    return names ? `#${key}&${names}` : `#${key}`;
  }

  /** Takes the names from an address, and gives the picture's key in it. */
  take(address) {
    const [key, ...names] = address.replace(/^#/, "").split("&");
    this.#read(new URLSearchParams(names.join("&")));
    return key;
  }

  #read(words) {
    for (let i = 0; i < this.count; i++) {
      const name = words.get(`d${i + 1}`)?.trim();
      if (name) this.names.set(i, name.slice(0, LONGEST));
    }
  }

  #written() {
    const sorted = [...this.names].sort(([a], [b]) => a - b);
    return String(new URLSearchParams(sorted.map(([i, name]) => [`d${i + 1}`, name])));
  }
}
