/* Canvases: a picture as it is, enlarged by pixels or smoothly, and as a PNG file. */

/** A canvas that holds one picture of the model, empty at first. */
export function emptyCanvas(info) {
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [info.width, info.height];
  return canvas;
}

/** Draws a picture into a canvas of its size. */
export function paint(canvas, bitmap) {
  canvas.getContext("2d").drawImage(bitmap, 0, 0);
  canvas.classList.add("painted");
}

/** Four weights for the neighbours of a point `t` of the way from the second to the third. */
function cubic(t) {
  // Catmull and Rom 1974 (Keys 1981 with a = -1/2), as image programs mean by "bicubic".
  return [
    ((2 - t) * t - 1) * t,
    (3 * t - 5) * t * t + 2,
    ((4 - 3 * t) * t + 1) * t,
    (t - 1) * t * t,
  ].map((weight) => weight / 2);
}

/** RGBA enlarged along one axis; called twice, with rows and columns exchanged each time. */
function stretch(pixels, width, height, factor) {
  const wide = width * factor;
  const out = new Float32Array(4 * wide * height);
  for (let x = 0; x < wide; x++) {
    const at = (x + 0.5) / factor - 0.5;
    const left = Math.floor(at);
    const [a, b, c, d] = cubic(at - left);
    const [i, j, k, l] = [-1, 0, 1, 2].map((n) => 4 * Math.min(width - 1, Math.max(0, left + n)));
    for (let y = 0; y < height; y++) {
      const to = 4 * (x * height + y);
      for (let n = 0; n < 4; n++) {
        const row = 4 * y * width + n;
        out[to + n] =
          a * pixels[row + i] + b * pixels[row + j] + c * pixels[row + k] + d * pixels[row + l];
      }
    }
  }
  return out;
}

/** The picture in a canvas enlarged by a whole factor: "smooth" is bicubic, "pixels" squares. */
export function enlarge(bitmap, factor, look) {
  const { width, height } = bitmap;
  const canvas = document.createElement("canvas");
  [canvas.width, canvas.height] = [width * factor, height * factor];
  const context = canvas.getContext("2d");
  context.imageSmoothingEnabled = false;
  if (look === "pixels" || factor === 1) {
    context.drawImage(bitmap, 0, 0, canvas.width, canvas.height);
    return canvas;
  }
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, width, height);
  const wide = stretch(data, width, height, factor);
  const both = new Uint8ClampedArray(stretch(wide, height, width * factor, factor));
  context.putImageData(new ImageData(both, canvas.width, canvas.height), 0, 0);
  return canvas;
}

/** Hands a canvas to the browser's downloads, as PNG. */
export async function save(canvas, name) {
  download(await new Promise((resolve) => canvas.toBlob(resolve, "image/png")), name);
}

/** Hands a file to the browser's downloads. */
export function download(blob, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000); // the browser reads it a little later
}
