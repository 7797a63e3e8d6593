/* One picture: its latent vector, and the key that stands for it in links and on the shelf:
   "seed=7", or "z=..." with the vector as float16 in base64url once it was edited. */

import { pack, unpack } from "./half.js";

const [LEAST, MOST] = [-(2n ** 63n), 2n ** 63n - 1n];

/** The picture of a seed. */
export function drawn(space, seed) {
  return { key: `seed=${seed}`, name: `Seed ${seed}`, z: space.draw(seed) };
}

/** The picture of a vector, rounded as its link rounds it: the link shows exactly what was seen. */
export function edited(space, z) {
  const text = pack(space.inside(z));
  return { key: `z=${text}`, name: "Edited", z: unpack(text) };
}

/**
 * Reads a seed as people write it.
 * @throws {Error} with a sentence for the user.
 */
export function parseSeed(text) {
  const digits = text.trim().replace(/^\+/, "");
  if (!/^-?\d{1,20}$/.test(digits)) throw new Error(`A seed is a whole number, not “${text}”.`);
  const seed = BigInt(digits);
  if (seed < LEAST || seed > MOST) throw new Error(`A seed has at most 64 bits; ${digits} has more.`);
  return seed;
}

/**
 * Reads seeds as the command line does: 7, or 1,5,9-20.
 * @returns {{first: bigint, last: bigint}[]} ranges, both ends included.
 * @throws {Error} with a sentence for the user.
 */
export function parseSeeds(text) {
  return text.split(",").map((part) => {
    const found = /^\s*([+-]?\d{1,20})(?:-(-?\d{1,20}))?\s*$/.exec(part);
    if (!found) throw new Error(`Seeds are whole numbers, such as 7 or 1,5,9-20, not “${text}”.`);
    const first = parseSeed(found[1]);
    const last = found[2] ? parseSeed(found[2]) : first;
    if (last < first) throw new Error(`A range of seeds must go up, as in 9-20; “${part.trim()}” goes down.`);
    return { first, last };
  });
}

/** The i-th seed of ranges; null behind their end. */
export function seedAt(ranges, i) {
  let left = BigInt(i);
  for (const { first, last } of ranges) {
    if (first + left <= last) return first + left;
    left -= last - first + 1n;
  }
  return null;
}

/**
 * The picture of a key.
 * @throws {Error} with a sentence for the user.
 */
export function fromKey(space, key) {
  const [kind, ...rest] = key.split("=");
  const value = rest.join("=");
  if (kind === "seed") return drawn(space, parseSeed(decodeURIComponent(value)));
  if (kind !== "z") throw new Error("This address has no seed and no vector (#seed=7, #z=…).");
  const z = unpack(value);
  if (z.length !== space.length) {
    throw new Error(
      `This link is for another model: it has ${z.length} numbers, and this model takes ${space.length}.`,
    );
  }
  return edited(space, z);
}
