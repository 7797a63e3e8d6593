/* Animated GIFs: one palette for all frames by median cut (Heckbert 1982), and GIF's LZW. */

const COLOURS = 256;
const BITS = 6; // of a channel, when colours are counted
const [CLEAR, END, FIRST, FULL] = [256, 257, 258, 4096]; // LZW's codes

const binOf = (data, i) => (((data[i] >> 2) << 12) | ((data[i + 1] >> 2) << 6) | (data[i + 2] >> 2));

/** Every colour that occurs, in bins: {bin, count, sums of red, green and blue}. */
function counted(frames) {
  const counts = new Uint32Array(1 << (3 * BITS));
  const sums = new Float64Array(3 * counts.length);
  for (const { data } of frames) {
    for (let i = 0; i < data.length; i += 4) {
      const bin = binOf(data, i);
      counts[bin]++;
      for (let c = 0; c < 3; c++) sums[3 * bin + c] += data[i + c];
    }
  }
  const found = [];
  counts.forEach((count, bin) => {
    if (!count) return;
    const colour = [0, 1, 2].map((c) => sums[3 * bin + c] / count);
    found.push({ bin, count, colour });
  });
  return found;
}

/** A box of bins with its longest side, and how much splitting it there would gain. */
function box(bins) {
  const total = bins.reduce((sum, { count }) => sum + count, 0);
  const sides = [0, 1, 2].map((c) => {
    const values = bins.map(({ colour }) => colour[c]);
    return values.reduce((a, b) => Math.max(a, b)) - values.reduce((a, b) => Math.min(a, b));
  });
  const side = sides.indexOf(Math.max(...sides));
  return { bins, total, side, gain: bins.length > 1 ? total * sides[side] ** 2 : 0 };
}

function halves({ bins, total, side }) {
  const sorted = [...bins].sort((a, b) => a.colour[side] - b.colour[side]);
  let [at, sum] = [0, 0];
  while (at < sorted.length - 1 && sum < total / 2) sum += sorted[at++].count;
  return [box(sorted.slice(0, at)), box(sorted.slice(at))];
}

/** {palette: 256 colours in bytes, indexOf: bin -> colour}. */
function palette(frames) {
  const boxes = [box(counted(frames))];
  while (boxes.length < COLOURS) {
    const worst = boxes.reduce((a, b) => (b.gain > a.gain ? b : a));
    if (!worst.gain) break; // a colour each
    boxes.splice(boxes.indexOf(worst), 1, ...halves(worst));
  }
  const colours = new Uint8Array(3 * COLOURS);
  const indexOf = new Uint8Array(1 << (3 * BITS));
  boxes.forEach(({ bins, total }, index) => {
    for (let c = 0; c < 3; c++) {
      const sum = bins.reduce((all, { count, colour }) => all + count * colour[c], 0);
      colours[3 * index + c] = Math.round(sum / total);
    }
    for (const { bin } of bins) indexOf[bin] = index;
  });
  return { colours, indexOf };
}

/** Indices of colours, compressed, in blocks of at most 255 bytes. */
function lzw(indices) {
  const bytes = [];
  const children = new Uint16Array(FULL * COLOURS); // code and colour -> code
  let [held, bits, width, next] = [0, 0, 9, FIRST];
  const put = (code) => {
    held |= code << bits;
    for (bits += width; bits >= 8; bits -= 8) {
      bytes.push(held & 255);
      held >>>= 8;
    }
  };
  put(CLEAR);
  let code = indices[0];
  for (let i = 1; i < indices.length; i++) {
    const place = code * COLOURS + indices[i];
    if (children[place]) {
      code = children[place];
      continue;
    }
    put(code);
    if (next < FULL) {
      if (next === 1 << width) width++;
      children[place] = next++;
    } else {
      put(CLEAR);
      children.fill(0);
      [width, next] = [9, FIRST];
    }
    code = indices[i];
  }
  put(code);
  if (next === 1 << width && width < 12) width++;
  put(END);
  if (bits) bytes.push(held & 255);
  const blocks = [];
  for (let at = 0; at < bytes.length; at += 255) {
    const block = bytes.slice(at, at + 255);
    blocks.push(Uint8Array.of(block.length), Uint8Array.from(block));
  }
  return [Uint8Array.of(8), ...blocks, Uint8Array.of(0)];
}

const word = (number) => [number & 255, number >> 8];

/**
 * A film that goes to its end and back, for ever.
 * @param {{data: Uint8ClampedArray, width: number, height: number}[]} frames RGBA, of one size.
 * @param {number} milliseconds that each is shown.
 * @returns {Uint8Array[]} the file's parts.
 */
export function gif(frames, milliseconds) {
  const { colours, indexOf } = palette(frames);
  const { width, height } = frames[0];
  const letters = (text) => [...text].map((letter) => letter.charCodeAt(0));
  const size = [...word(width), ...word(height)];
  const head = [...letters("GIF89a"), ...size, 0xf7, 0, 0];
  const endless = [0x21, 0xff, 11, ...letters("NETSCAPE2.0"), 3, 1, 0, 0, 0];
  const delay = word(Math.round(milliseconds / 10));
  const shown = Uint8Array.from([0x21, 0xf9, 4, 4, ...delay, 0, 0, 0x2c, 0, 0, 0, 0, ...size, 0]);
  const films = frames.map(({ data }) => {
    const indices = new Uint8Array(width * height);
    for (let i = 0; i < indices.length; i++) indices[i] = indexOf[binOf(data, 4 * i)];
    return [shown, ...lzw(indices)];
  });
  const back = films.slice(1, -1).reverse();
  return [
    Uint8Array.from(head),
    colours,
    Uint8Array.from(endless),
    ...films.flat(),
    ...back.flat(),
    Uint8Array.of(0x3b),
  ];
}
