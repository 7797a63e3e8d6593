/* Draws by asking the server that this page came from: POST render, GET grid.png, GET model.json.
   `export --format web` puts another file of this name in its place. */

import { chosen } from "./classes.js";

const AT_ONCE = 32; // pictures of a request, unless the server allows fewer
const FIRST = 48; // what a page hangs at once comes as one picture
const COLUMNS = 8; // of it
const FOLLOW_MS = 2000; // between two looks for another version
const PATIENCE = 5; // times that a busy server is asked again

const pause = (milliseconds) => new Promise((resolve) => setTimeout(resolve, milliseconds));

/** Asks the server; whoever calls looks at the status. */
async function ask(path, options) {
  try {
    for (let asked = 1; ; asked++) {
      const answer = await fetch(new URL(`../${path}`, import.meta.url), options);
      if (answer.status !== 503 || asked === PATIENCE) return answer;
      await pause(500 * asked);
    }
  } catch {
    throw new Error("The server is not answering. Is it still running?");
  }
}

/** What the server said against it, as an error for the user. */
async function refusal(answer) {
  const body = await answer.json().catch(() => null);
  return new Error(body?.error ?? `The server answered with an error (${answer.status}).`);
}

/** The dcgan.json of the model; and the pictures of the first seeds, on their way. */
async function begin() {
  const answer = await ask("model.json");
  if (!answer.ok) throw await refusal(answer);
  const info = await answer.json();
  if (Object.keys(chosen(info)).length) return { info, sheet: null }; // of a class: other pictures
  const wanted = `grid.png?seeds=0-${FIRST - 1}&columns=${COLUMNS}`;
  return { info, sheet: ask(wanted).catch(() => null) };
}

// Asked for as soon as this file is here, while others are still on their way.
let begun = begin();
begun.catch(() => {}); // whoever asks for it hears of it

/** A renderer: all that the other modules know of how pictures come to be. */
export function createRenderer() {
  let info;
  let sheet = null; // the pictures of the first seeds, side by side
  const renderer = {
    batch: AT_ONCE,
    parallel: 2, // one batch on its way while another is drawn

    /** The dcgan.json of the model. */
    async info() {
      const now = begun ?? begin();
      begun = null; // again after it failed
      ({ info, sheet } = await now);
      return info;
    },

    /** Pictures of the seeds from 0 that need no asking for: none where they cannot be had. */
    async first() {
      const answer = await sheet;
      if (!answer?.ok) return [];
      return cut(await createImageBitmap(await answer.blob()), FIRST, COLUMNS, 1);
    },

    /** Calls back with the new info whenever another version answers, where the server says so. */
    follow(renew) {
      if (!info.follow) return;
      setInterval(async () => {
        const answer = document.hidden ? null : await ask("model.json").catch(() => null);
        const newer = answer?.ok && (await answer.json());
        if (!newer || newer.step === info.step) return;
        info = newer;
        renew(newer);
      }, FOLLOW_MS);
    },

    /** Pictures of latent vectors: ImageBitmaps in the same order. */
    async render(zs) {
      const labels = chosen(info);
      const body = JSON.stringify({ z: zs.map((z) => Array.from(z)), columns: zs.length, labels });
      const headers = { "Content-Type": "application/json" };
      const answer = await ask("render", { method: "POST", headers, body });
      if (answer.status === 413 && zs.length > 1) {
        // More than this server draws at once: from now on half as many.
        const half = Math.ceil(zs.length / 2);
        renderer.batch = Math.min(renderer.batch, half);
        return [
          ...(await renderer.render(zs.slice(0, half))),
          ...(await renderer.render(zs.slice(half))),
        ];
      }
      if (!answer.ok) throw await refusal(answer);
      return cut(await createImageBitmap(await answer.blob()), zs.length);
    },
  };

  /** The pictures that stand in rows in one, so many pixels apart. */
  function cut(sprite, count, columns = count, gap = 0) {
    const { width, height } = info;
    const [right, down] = [width + gap, height + gap];
    const rows = Math.ceil(count / columns);
    if (sprite.width !== columns * right - gap || sprite.height !== rows * down - gap) {
      throw new Error("The server now has a model of another size: reload the page.");
    }
    const places = Array.from({ length: count }, (_, i) => [i % columns, Math.floor(i / columns)]);
    return Promise.all(
      places.map(([x, y]) => createImageBitmap(sprite, x * right, y * down, width, height)),
    );
  }

  return renderer;
}
