/* Vectors as text: little-endian float16 in base64url, 267 characters for 100 numbers.
   Float16Array would do, but telephones of a few years ago lack it. */

const LARGEST = 65504;
const float = new Float32Array(1);
const word = new Uint32Array(float.buffer);

/** The nearest half-precision number's 16 bits; of two equally near ones the even. */
function toHalf(value) {
  float[0] = Math.min(LARGEST, Math.max(-LARGEST, value));
  const sign = (word[0] >>> 16) & 0x8000;
  const exponent = ((word[0] >>> 23) & 0xff) - 112; // from a bias of 127 to one of 15
  let mantissa = word[0] & 0x7fffff;
  let shift = 13;
  if (exponent <= 0) {
    // Too small for an exponent of its own: the leading one becomes explicit and moves right.
    if (exponent < -10) return sign;
    mantissa |= 0x800000;
    shift = 14 - exponent;
  }
  const kept = (Math.max(0, exponent) << 10) | (mantissa >>> shift);
  const [rest, middle] = [mantissa & ((1 << shift) - 1), 1 << (shift - 1)];
  const up = rest > middle || (rest === middle && kept & 1);
  return sign | (kept + (up ? 1 : 0)); // a carry into the exponent is right
}

function fromHalf(half) {
  const sign = half & 0x8000 ? -1 : 1;
  const exponent = (half >>> 10) & 31;
  const mantissa = half & 0x3ff;
  if (exponent === 31) return mantissa ? NaN : sign * Infinity;
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

/** @param {Float32Array} z of finite numbers. */
export function pack(z) {
  let bytes = "";
  for (const value of z) {
    const half = toHalf(value);
    bytes += String.fromCharCode(half & 0xff, half >>> 8);
  }
  return btoa(bytes).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

/**
 * @returns {Float32Array}
 * @throws {Error} the text is none of `pack`'s.
 */
export function unpack(text) {
  let bytes;
  try {
    bytes = atob(text.replaceAll("-", "+").replaceAll("_", "/"));
  } catch {
    throw new Error("This link is damaged: part of it is missing or was changed.");
  }
  const z = new Float32Array(bytes.length >>> 1).map((_, i) =>
    fromHalf(bytes.charCodeAt(2 * i) | (bytes.charCodeAt(2 * i + 1) << 8)),
  );
  if (bytes.length % 2 || !z.every(Number.isFinite)) {
    throw new Error("This link is damaged: part of it is missing or was changed.");
  }
  return z;
}
