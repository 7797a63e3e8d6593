/* Draws in the page itself: in a worker, so that scrolling never waits for arithmetic. */

import { chosen } from "./classes.js";

const BATCH = 8; // a few milliseconds each: what the hand waits for comes in between

/**
 * @param {{model: string, info: string, runtime: ?string, integrity: object, bytes: object,
 *   first: ?{image: string, count: number, columns: number}}} files addresses, relative to the
 *   page; without a runtime plain.js draws; the hashes of the runtime's files where another host
 *   gives them; sizes by name; and the pictures of the first seeds in one, drawn already.
 * @param {(text: string) => void} progress is told what is being loaded.
 */
export function createRenderer(files, progress = () => {}) {
  const absolute = (path) => new URL(path, document.baseURI).href;
  const worker = new Worker(new URL("./onnx-worker.js", import.meta.url), { type: "module" });
  const waiting = new Map();
  let asked = 0;
  let info;
  let early = null; // the pictures of the first seeds, on their way
  let opened = null; // what is loaded, or on its way

  function ask(message) {
    return new Promise((resolve, reject) => {
      const id = asked++;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ ...message, id });
    });
  }
  worker.onmessage = ({ data }) => {
    if ("progress" in data) return progress(data.progress);
    const { resolve, reject } = waiting.get(data.id);
    waiting.delete(data.id);
    return data.fault ? reject(new Error(data.fault)) : resolve(data.result);
  };
  worker.onerror = () => {
    for (const { reject } of waiting.values()) reject(new Error("The worker could not be started."));
    waiting.clear();
  };

  /** Loads everything once; again after it failed. */
  function open() {
    const { model, runtime, integrity, bytes } = files;
    const from = runtime && absolute(runtime);
    opened ??= ask({ open: { model: absolute(model), runtime: from, integrity, bytes } });
    opened.catch(() => (opened = null));
    return opened;
  }

  return {
    batch: BATCH,
    parallel: 1,

    async info() {
      if (files.first) early = fetch(absolute(files.first.image)).catch(() => null);
      const answer = await fetch(absolute(files.info)).catch(() => ({ ok: false }));
      if (!answer.ok) throw new Error(`${files.info} is missing beside this page.`);
      info = await answer.json();
      open().catch(() => {}); // whoever waits for pictures hears of it
      return info;
    },

    /** Pictures of the seeds from 0 that need no drawing: none where they cannot be had. */
    async first() {
      if (!files.first || Object.keys(chosen(info)).length) return [];
      const { count, columns } = files.first;
      const answer = await early;
      if (!answer?.ok) return [];
      const all = await createImageBitmap(await answer.blob());
      const { width, height } = info;
      const places = Array.from({ length: count }, (_, i) => [i % columns, Math.floor(i / columns)]);
      return Promise.all(
        places.map(([x, y]) => createImageBitmap(all, x * width, y * height, width, height)),
      );
    },

    async render(zs) {
      await open();
      const z = new Float32Array(zs.length * info.z_dim);
      zs.forEach((one, i) => z.set(one, i * info.z_dim));
      const { height, width, classes = [] } = info;
      const names = chosen(info);
      const labels = Object.fromEntries(
        classes.map((one) => [one.input, one.names.indexOf(names[one.column])]), // -1: its own
      );
      const shape = [zs.length, info.z_dim];
      const pixels = await ask({ render: { z, shape, labels, height, width } });
      return Promise.all(
        zs.map((_, i) => {
          const size = 4 * height * width;
          const one = pixels.subarray(i * size, (i + 1) * size);
          return createImageBitmap(new ImageData(one, width, height));
        }),
      );
    },
  };
}
