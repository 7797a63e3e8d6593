/* Draws in the page itself: ONNX Runtime in a worker, so that scrolling never waits for arithmetic. */

import { chosen } from "./classes.js";

const BATCH = 8; // a few milliseconds each: what the hand waits for comes in between

/**
 * @param {{model: string, info: string, runtime: string, integrity: object}} files addresses,
 *   relative to the page, and the hashes of the runtime's files where another host gives them.
 * @param {(text: string) => void} progress is told what is being loaded.
 */
export function createRenderer(files, progress = () => {}) {
  const absolute = (path) => new URL(path, document.baseURI).href;
  const worker = new Worker(new URL("./onnx-worker.js", import.meta.url), { type: "module" });
  const waiting = new Map();
  let asked = 0;
  let info;

  function ask(message) {
    return new Promise((resolve, reject) => {
      const id = asked++;
      waiting.set(id, { resolve, reject });
      worker.postMessage({ ...message, id });
    });
  }
  worker.onmessage = ({ data }) => {
    if (data.progress) return progress(data.progress);
    const { resolve, reject } = waiting.get(data.id);
    waiting.delete(data.id);
    return data.fault ? reject(new Error(data.fault)) : resolve(data.result);
  };
  worker.onerror = () => {
    for (const { reject } of waiting.values()) reject(new Error("The worker could not be started."));
    waiting.clear();
  };

  return {
    batch: BATCH,
    parallel: 1,

    async info() {
      const answer = await fetch(absolute(files.info)).catch(() => ({ ok: false }));
      if (!answer.ok) throw new Error(`${files.info} is missing beside this page.`);
      info = await answer.json();
      const { model, runtime, integrity } = files;
      await ask({ open: { model: absolute(model), runtime: absolute(runtime), integrity } });
      return info;
    },

    async render(zs) {
      const z = new Float32Array(zs.length * info.z_dim);
      zs.forEach((one, i) => z.set(one, i * info.z_dim));
      const { height, width, classes = [] } = info;
      const names = chosen(info);
      const labels = Object.fromEntries(
        classes.map((one) => [one.input, one.names.indexOf(names[one.column])]),
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
