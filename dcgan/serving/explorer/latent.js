/* Seeds to latent vectors, number for number as dcgan/latent/noise.py draws them with TensorFlow, so
   that seed 7 is the same picture in this page, on the server and in training. */

// Philox 4x32-10: Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3".
const MULTIPLIERS = [0xd2511f53, 0xcd9e8d57];
const WEYL = [0x9e3779b9, 0xbb67ae85];
const ROUNDS = 10;

// With this key TensorFlow turns a seed into the key and counter of its numbers.
const SCRAMBLE = [0x3ec8f720, 0x02461e29];
const SAMPLING = [0xffffffff, 0xffffffff]; // second half of every seed: -1, as in noise.py

/** The upper 32 bits of a product; JavaScript's own multiplication rounds beyond 53. */
function multiplyHigh(a, b) {
  const [aLow, aHigh, bLow, bHigh] = [a & 0xffff, a >>> 16, b & 0xffff, b >>> 16];
  const first = aHigh * bLow + ((aLow * bLow) >>> 16);
  const second = aLow * bHigh + (first & 0xffff);
  return aHigh * bHigh + (first >>> 16) + (second >>> 16);
}

/** Four words of counter and two of key to four random words. */
export function philox([c0, c1, c2, c3], [k0, k1]) {
  for (let round = 0; round < ROUNDS; round++) {
    const [m0, m1] = MULTIPLIERS;
    [c0, c1, c2, c3] = [
      (multiplyHigh(m1, c2) ^ c1 ^ k0) >>> 0,
      Math.imul(m1, c2) >>> 0,
      (multiplyHigh(m0, c0) ^ c3 ^ k1) >>> 0,
      Math.imul(m0, c0) >>> 0,
    ];
    [k0, k1] = [(k0 + WEYL[0]) >>> 0, (k1 + WEYL[1]) >>> 0];
  }
  return [c0, c1, c2, c3];
}

function words(seed, count) {
  const bits = BigInt.asUintN(64, seed);
  const halves = [Number(bits & 0xffffffffn), Number(bits >> 32n)];
  const mixed = philox([...halves, ...SAMPLING], SCRAMBLE);
  const found = [];
  for (let block = 0; found.length < count; block++) {
    found.push(...philox([block, 0, mixed[2], mixed[3]], [mixed[0], mixed[1]]));
  }
  return found;
}

/** 23 bits of a word as a number in [0, 1), as TensorFlow takes them. */
const unit = (word) => (word & 0x7fffff) / 0x800000;

/** Two uniform words to two normal numbers (Box and Muller 1958), each step rounded to float32. */
function normals(first, second) {
  const radius = Math.fround(Math.log(Math.max(unit(first), Math.fround(1e-7))));
  const length = Math.fround(Math.sqrt(-2 * radius));
  const angle = Math.fround(2 * Math.PI * unit(second));
  return [Math.fround(Math.sin(angle)) * length, Math.fround(Math.cos(angle)) * length];
}

/**
 * The latent vector of a seed.
 * @param {bigint} seed of 64 bits.
 * @param {number} length of the vector.
 * @param {string} distribution normal01, uniform_signed or uniform_unsigned.
 * @returns {Float32Array}
 */
export function latent(seed, length, distribution) {
  const random = words(seed, length);
  const z = new Float32Array(length);
  for (let i = 0; i < length; i++) {
    if (distribution === "normal01") z[i] = normals(random[i & ~1], random[i | 1])[i & 1];
    else z[i] = distribution === "uniform_signed" ? unit(random[i]) * 2 - 1 : unit(random[i]);
  }
  return z;
}
