/* Between the page and a renderer: small batches, each picture drawn once, and what the hand waits
   for ahead of what merely scrolls in. */

const REMEMBERED = 3000; // bitmaps of some ten kilobytes each

export class Pictures {
  constructor(renderer) {
    this.renderer = renderer;
    this.waiting = [];
    this.running = 0;
    this.known = new Map(); // key -> ImageBitmap, oldest first
    this.early = null;
  }

  /**
   * The pictures of faces, in their order.
   * @param {{key?: string, z: Float32Array}[]} faces those without a key are not remembered.
   * @param {{urgent?: boolean, signal?: AbortSignal, each?: Function}} how each(bitmap, index) is
   *   called as the pictures arrive.
   */
  async get(faces, { urgent = false, signal, each = () => {} } = {}) {
    if (this.early) await this.early;
    const { known } = this; // what is on its way when all is forgotten is not remembered
    const found = faces.map((face) => known.get(face.key));
    found.forEach((bitmap, i) => bitmap && each(bitmap, i));
    const missing = faces.map((_, i) => i).filter((i) => !found[i]);
    const batches = [];
    for (let start = 0; start < missing.length; start += this.renderer.batch) {
      batches.push(missing.slice(start, start + this.renderer.batch));
    }
    await Promise.all(
      batches.map(async (batch) => {
        const bitmaps = await this.#queue(batch.map((i) => faces[i]), urgent, signal);
        bitmaps.forEach((bitmap, k) => {
          found[batch[k]] = bitmap;
          remember(known, faces[batch[k]].key, bitmap);
          each(bitmap, batch[k]);
        });
      }),
    );
    return found;
  }

  /**
   * Waits for pictures that are drawn elsewhere, before it draws any.
   * @param {Promise<ImageBitmap[]>} bitmaps of faceAt(0), faceAt(1), ... Without them all are drawn.
   */
  expect(bitmaps, faceAt) {
    const { known } = this;
    const learn = (found) => found.forEach((one, i) => remember(known, faceAt(i).key, one));
    this.early = bitmaps
      .then(learn)
      .catch(() => {})
      .then(() => (this.early = null));
  }

  /** Forgets what was drawn: the model is another now. */
  forget() {
    this.known = new Map();
  }

  #queue(faces, urgent, signal) {
    return new Promise((resolve, reject) => {
      const job = { faces, signal, resolve, reject, urgent };
      const behind = this.waiting.findIndex((other) => urgent && !other.urgent);
      this.waiting.splice(behind < 0 ? this.waiting.length : behind, 0, job);
      this.#pump();
    });
  }

  async #pump() {
    if (this.running >= this.renderer.parallel || !this.waiting.length) return;
    const { faces, signal, resolve, reject } = this.waiting.shift();
    this.running++;
    try {
      signal?.throwIfAborted();
      resolve(await this.renderer.render(faces.map((face) => face.z)));
    } catch (error) {
      reject(error);
    } finally {
      this.running--;
      this.#pump();
    }
  }
}

function remember(known, key, bitmap) {
  if (!key) return;
  known.set(key, bitmap);
  if (known.size > REMEMBERED) known.delete(known.keys().next().value);
}

/** A function that, called faster than it can work, goes on with the newest call only. */
export function newest(work) {
  let running = false;
  let next = null;
  return async (...given) => {
    next = given;
    if (running) return;
    running = true;
    try {
      while (next) {
        const now = next;
        next = null;
        await work(...now);
      }
    } finally {
      running = false;
    }
  };
}
