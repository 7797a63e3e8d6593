/* The geometry of one model's latent vectors. Whatever is done to a vector here, the result stays
   where the generator was trained: within the prior's range, at the length of what it draws. */

import { latent } from "./latent.js";

const PRIORS = {
  normal01: { mean: 0, deviation: 1, low: -Infinity, high: Infinity },
  uniform_signed: { mean: 0, deviation: Math.sqrt(1 / 3), low: -1, high: 1 },
  uniform_unsigned: { mean: 0.5, deviation: Math.sqrt(1 / 12), low: 0, high: 1 },
};

const dot = (a, b) => a.reduce((sum, value, i) => sum + value * b[i], 0);

export class Space {
  /** @param {object} info the model's dcgan.json. */
  constructor(info) {
    if (!(info.z_dist in PRIORS)) throw new Error(`This page does not know the prior “${info.z_dist}”.`);
    this.length = info.z_dim;
    this.distribution = info.z_dist;
    this.prior = PRIORS[info.z_dist];
    this.learn(info);
  }

  /** Takes the directions of a version. */
  learn(info) {
    this.directions = info.directions ?? [];
    this.strengths = info.direction_scales ?? this.directions.map(() => 1);
  }

  /** The vector of a seed. */
  draw(seed) {
    return latent(BigInt(seed), this.length, this.distribution);
  }

  /** The nearest vector that the prior can draw. */
  inside(z) {
    return z.map((value) => Math.min(this.prior.high, Math.max(this.prior.low, value)));
  }

  /** What lies between two vectors, from a at t = 0 to b at t = 1. */
  between(a, b, t) {
    // Halfway on a straight line, normal vectors are too short to be typical: go along the sphere.
    const round = this.distribution === "normal01";
    const cosine = round ? dot(a, b) / Math.sqrt(dot(a, a) * dot(b, b)) : 1;
    const angle = Math.acos(Math.min(1, Math.max(-1, cosine)));
    if (!(Math.sin(angle) > 1e-4)) return a.map((value, i) => (1 - t) * value + t * b[i]);
    const [left, right] = [Math.sin((1 - t) * angle), Math.sin(t * angle)];
    return a.map((value, i) => (left * value + right * b[i]) / Math.sin(angle));
  }

  /**
   * Vectors added and taken away. Dividing by the root of their number keeps the variance of the
   * prior: the sum of n independent vectors is that much longer than one.
   * @param {{z: Float32Array, sign: number}[]} terms at least one.
   */
  sum(terms) {
    const { mean } = this.prior;
    const scale = 1 / Math.sqrt(terms.length);
    const add = (_, i) => terms.reduce((sum, { z, sign }) => sum + sign * (z[i] - mean), 0);
    return this.inside(terms[0].z.map((_, i) => mean + scale * add(_, i)));
  }

  /** The n-th neighbour, n from 0: noise of its own, a little more of it each time. */
  near(z, n) {
    const noise = this.draw(n + 1);
    const share = 1 - 0.78 * Math.exp(-n / 100); // 0.22 at first: surely alike; never quite 1
    return this.between(z, noise, share);
  }

  /** Where a vector stands along a direction, in standard deviations of the prior. */
  along(z, direction) {
    const { mean, deviation } = this.prior;
    return dot(z.map((value) => value - mean), this.directions[direction]) / deviation;
  }

  /** The vector moved along a direction; the directions are at right angles, so no other changes. */
  moved(z, direction, to) {
    const by = (to - this.along(z, direction)) * this.prior.deviation;
    return this.inside(z.map((value, i) => value + by * this.directions[direction][i]));
  }
}
