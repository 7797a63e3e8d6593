/* Several pictures as one file: a film (GIF), or a strip (PNG). */

import { enlarge, download, save } from "./pixels.js";
import { gif } from "./gif.js";

const FILM_SIDE = 512; // pixels; films of more are too heavy to be sent
const STRIP_SIDE = 16384; // pixels; canvases of more fail in some browsers

/** The largest whole factor up to the one wanted that keeps a side within a limit. */
const within = (factor, side, limit) => Math.max(1, Math.min(factor, Math.floor(limit / side)));

/**
 * @param {ImageBitmap[]} bitmaps of one size.
 * @param {{factor: number, look: string, milliseconds: number, name: string}} how see `enlarge`.
 */
export function saveFilm(bitmaps, { factor, look, milliseconds, name }) {
  const { width, height } = bitmaps[0];
  const size = within(factor, Math.max(width, height), FILM_SIDE);
  const frames = bitmaps.map((bitmap) => {
    const canvas = enlarge(bitmap, size, look);
    return canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  });
  download(new Blob(gif(frames, milliseconds), { type: "image/gif" }), `${name}.gif`);
}

/** The pictures side by side; arguments as of `saveFilm`. */
export async function saveStrip(bitmaps, { factor, look, name }) {
  const size = within(factor, bitmaps.length * bitmaps[0].width, STRIP_SIDE);
  const pictures = bitmaps.map((bitmap) => enlarge(bitmap, size, look));
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [pictures.length * pictures[0].width, pictures[0].height];
  const context = canvas.getContext("2d");
  pictures.forEach((picture, i) => context.drawImage(picture, i * picture.width, 0));
  await save(canvas, `${name}.png`);
}
