/* Runs a generator.onnx in plain JavaScript, with as much of ONNX Runtime's interface as is needed
   here. It knows the operations that convolutional generators are made of and no others, takes no
   megabytes to load, and is several times slower than ONNX Runtime. */

const [FLOAT, INT64, HALF] = [1, 7, 10]; // TensorProto.DataType

export class Tensor {
  constructor(type, data, dims) {
    Object.assign(this, { type, data, dims });
  }
}

const size = (dims) => dims.reduce((product, dim) => product * dim, 1);

// Protocol Buffers: https://protobuf.dev/programming-guides/encoding

const text = (bytes) => new TextDecoder().decode(bytes);

/** The fields of a message: number -> its values, each a number or bytes. */
function fields(bytes) {
  const found = new Map();
  let at = 0;
  const varint = () => {
    let [value, scale] = [0n, 0n];
    for (; ; scale += 7n) {
      const byte = bytes[at++];
      value |= BigInt(byte & 127) << scale;
      if (byte < 128) return Number(BigInt.asIntN(64, value));
    }
  };
  const take = (length) => bytes.subarray(at, (at += length));
  while (at < bytes.length) {
    const key = varint();
    const value = [varint, () => take(8), () => take(varint()), , , () => take(4)][key & 7]();
    if (!found.has(key >>> 3)) found.set(key >>> 3, []);
    found.get(key >>> 3).push(value);
  }
  return {
    all: (number) => found.get(number) ?? [],
    one: (number) => found.get(number)?.at(-1),
    /** Whole numbers, one after the other or packed. */
    numbers: (number) =>
      (found.get(number) ?? []).flatMap((value) => {
        if (typeof value === "number") return [value];
        [bytes, at] = [value, 0];
        const numbers = [];
        while (at < bytes.length) numbers.push(varint());
        return numbers;
      }),
  };
}

function halfToFloat(half) {
  const sign = half & 0x8000 ? -1 : 1;
  const [exponent, mantissa] = [(half >>> 10) & 31, half & 1023];
  if (exponent === 0) return sign * mantissa * 2 ** -24;
  return sign * (1 + mantissa / 1024) * 2 ** (exponent - 15);
}

function constant(bytes) {
  const proto = fields(bytes);
  const [dims, type, raw] = [proto.numbers(1), proto.one(2), proto.one(9)];
  let data;
  if (type === INT64) {
    const numbers = raw && [...new BigInt64Array(raw.slice().buffer)].map(Number);
    data = numbers ?? proto.numbers(7);
  } else if (raw && type === FLOAT) data = new Float32Array(raw.slice().buffer);
  else if (raw && type === HALF) data = Float32Array.from(new Uint16Array(raw.slice().buffer), halfToFloat);
  if (data?.length !== size(dims)) throw new Error("generator.onnx stores numbers in an unsupported form.");
  return { name: text(proto.one(8)), tensor: new Tensor("float32", data, dims) };
}

function node(bytes) {
  const proto = fields(bytes);
  const given = proto.all(5).map((one) => {
    const attribute = fields(one);
    const single = attribute.one(2); // a float's four bytes
    const number = single && new DataView(single.slice().buffer).getFloat32(0, true);
    const ints = attribute.numbers(8);
    return [text(attribute.one(1)), ints.length ? ints : (number ?? attribute.one(3))];
  });
  return {
    operation: text(proto.one(4)),
    inputs: proto.all(1).map(text),
    outputs: proto.all(2).map(text),
    given: Object.fromEntries(given),
  };
}

// Arithmetic

const TILE = 4;

/** Columns of a matrix [rows, columns] in tiles of four, each row after row. */
function tiled(data, from, rows, columns) {
  const tiles = Math.ceil(columns / TILE);
  const out = new Float32Array(tiles * rows * TILE);
  for (let tile = 0, to = 0; tile < tiles; tile++) {
    const [first, width] = [tile * TILE, Math.min(TILE, columns - tile * TILE)];
    for (let row = 0; row < rows; row++, to += TILE) {
      for (let i = 0; i < width; i++) out[to + i] = data[from + row * columns + first + i];
    }
  }
  return out;
}

/** a^T b for tiled a [k, m] and b [k, n]: [m, n], four by four numbers at a time. */
function product(a, b, k, m, n) {
  const out = new Float32Array(m * n);
  const sums = new Float64Array(TILE * TILE);
  for (let i = 0; i < m; i += TILE) {
    for (let j = 0; j < n; j += TILE) {
      let [c00, c01, c02, c03, c10, c11, c12, c13] = [0, 0, 0, 0, 0, 0, 0, 0];
      let [c20, c21, c22, c23, c30, c31, c32, c33] = [0, 0, 0, 0, 0, 0, 0, 0];
      for (let x = i * k, y = j * k, end = x + TILE * k; x < end; x += TILE, y += TILE) {
        const [b0, b1, b2, b3] = [b[y], b[y + 1], b[y + 2], b[y + 3]];
        const a0 = a[x];
        c00 += a0 * b0;
        c01 += a0 * b1;
        c02 += a0 * b2;
        c03 += a0 * b3;
        const a1 = a[x + 1];
        c10 += a1 * b0;
        c11 += a1 * b1;
        c12 += a1 * b2;
        c13 += a1 * b3;
        const a2 = a[x + 2];
        c20 += a2 * b0;
        c21 += a2 * b1;
        c22 += a2 * b2;
        c23 += a2 * b3;
        const a3 = a[x + 3];
        c30 += a3 * b0;
        c31 += a3 * b1;
        c32 += a3 * b2;
        c33 += a3 * b3;
      }
      sums.set([c00, c01, c02, c03, c10, c11, c12, c13, c20, c21, c22, c23, c30, c31, c32, c33]);
      const [rows, columns] = [Math.min(TILE, m - i), Math.min(TILE, n - j)];
      for (let r = 0; r < rows; r++) {
        for (let c = 0; c < columns; c++) out[(i + r) * n + j + c] = sums[TILE * r + c];
      }
    }
  }
  return out;
}

/** What `make` makes of a constant, made once. */
function once(tensor, make) {
  tensor.made ??= make();
  return tensor.made;
}

function matMul([a, b]) {
  const [rows, k] = a.dims;
  const n = b.dims[1];
  const turned = transpose([a], { perm: [1, 0] }).data;
  const right = once(b, () => tiled(b.data, 0, k, n));
  return new Tensor("float32", product(tiled(turned, 0, k, rows), right, k, rows, n), [rows, n]);
}

/** [N, C, H, W] with a kernel [D, C, tall, wide], moved by one pixel at a time. */
function conv([x, w, bias], { strides = [1, 1], dilations = [1, 1], group = 1, ...given }) {
  if ([...strides, ...dilations, group].some((one) => one !== 1)) {
    throw new Error("generator.onnx has an unsupported kind of convolution.");
  }
  const [top, left, bottom, right] = given.pads ?? [0, 0, 0, 0];
  const [count, channels, height, width] = x.dims;
  const [depth, , tall, wide] = w.dims;
  const [high, broad] = [height + top + bottom - tall + 1, width + left + right - wide + 1];
  const [k, area] = [channels * tall * wide, high * broad];
  const kernel = once(w, () => {
    const turned = transpose([new Tensor("float32", w.data, [depth, k])], { perm: [1, 0] });
    return tiled(turned.data, 0, k, depth);
  });
  const out = new Float32Array(count * depth * area);
  const seen = new Float32Array(k * area); // what lies under each place of the kernel
  for (let image = 0; image < count; image++) {
    seen.fill(0);
    for (let row = 0; row < k; row++) {
      const [c, ky, kx] = [Math.floor(row / (tall * wide)), Math.floor(row / wide) % tall, row % wide];
      const plane = (image * channels + c) * height * width;
      const [first, end] = [Math.max(0, left - kx), Math.min(broad, width + left - kx)];
      for (let y = Math.max(0, top - ky); y < Math.min(high, height + top - ky); y++) {
        const from = plane + (y + ky - top) * width + first + kx - left;
        seen.set(x.data.subarray(from, from + end - first), row * area + y * broad + first);
      }
    }
    out.set(product(kernel, tiled(seen, 0, k, area), k, depth, area), image * depth * area);
  }
  const made = new Tensor("float32", out, [count, depth, high, broad]);
  return bias ? OPERATIONS.Add([made, new Tensor("float32", bias.data, [depth, 1, 1])]) : made;
}

/** [N, C, H, W] with a kernel [C, D, kernel, kernel]: what each number adds, then where it falls. */
function convTranspose([x, w, bias], { strides, pads = [0, 0, 0, 0], ...given }) {
  const [count, channels, height, width] = x.dims;
  const [, depth, tall, wide] = w.dims;
  const [more, furtherMore] = given.output_padding ?? [0, 0];
  const high = (height - 1) * strides[0] + tall + more - pads[0] - pads[2];
  const broad = (width - 1) * strides[1] + wide + furtherMore - pads[1] - pads[3];
  const kernel = once(w, () => tiled(w.data, 0, channels, depth * tall * wide));
  const out = new Float32Array(count * depth * high * broad);
  const area = height * width;
  for (let image = 0; image < count; image++) {
    const right = tiled(x.data, image * channels * area, channels, area);
    const falls = product(kernel, right, channels, depth * tall * wide, area);
    for (let d = 0, from = 0; d < depth; d++) {
      const plane = (image * depth + d) * high * broad;
      if (bias) out.fill(bias.data[d], plane, plane + high * broad);
      for (let ky = 0; ky < tall; ky++) {
        for (let kx = 0; kx < wide; kx++) {
          for (let y = 0; y < height; y++) {
            const row = y * strides[0] + ky - pads[0];
            if (row < 0 || row >= high) {
              from += width;
              continue;
            }
            for (let at = kx - pads[1], i = 0; i < width; i++, at += strides[1], from++) {
              if (at >= 0 && at < broad) out[plane + row * broad + at] += falls[from];
            }
          }
        }
      }
    }
  }
  return new Tensor("float32", out, [count, depth, high, broad]);
}

function transpose([x], { perm }) {
  const dims = perm.map((axis) => x.dims[axis]);
  const strides = x.dims.map((_, axis) => size(x.dims.slice(axis + 1)));
  const steps = perm.map((axis) => strides[axis]);
  const out = new Float32Array(x.data.length);
  const place = dims.map(() => 0);
  for (let to = 0, from = 0; to < out.length; to++) {
    out[to] = x.data[from];
    for (let axis = dims.length - 1; axis >= 0; axis--) {
      from += steps[axis];
      if (++place[axis] < dims[axis]) break;
      from -= steps[axis] * dims[axis];
      place[axis] = 0;
    }
  }
  return new Tensor("float32", out, dims);
}

function concat(parts, { axis }) {
  const dims = [...parts[0].dims];
  dims[axis] = parts.reduce((sum, part) => sum + part.dims[axis], 0);
  const out = new Float32Array(size(dims));
  const inner = parts.map((part) => size(part.dims.slice(axis)));
  for (let to = 0, i = 0; to < out.length; i++) {
    parts.forEach((part, k) => {
      out.set(part.data.subarray(i * inner[k], (i + 1) * inner[k]), to);
      to += inner[k];
    });
  }
  return new Tensor("float32", out, dims);
}

/** Blocks of channels become blocks of pixels; the mode is ONNX's own, DCR. */
function depthToSpace([x], { blocksize: block }) {
  const [count, channels, height, width] = x.dims;
  const depth = channels / block ** 2;
  const apart = new Tensor("float32", x.data, [count, block, block, depth, height, width]);
  const { data } = transpose([apart], { perm: [0, 3, 4, 1, 5, 2] });
  return new Tensor("float32", data, [count, depth, height * block, width * block]);
}

function slice([x, starts, ends, axes]) {
  const from = x.dims.map(() => 0);
  const dims = [...x.dims];
  axes.data.forEach((axis, i) => {
    const within = (at) => Math.min(x.dims[axis], Math.max(0, at < 0 ? at + x.dims[axis] : at));
    from[axis] = within(starts.data[i]);
    dims[axis] = within(ends.data[i]) - from[axis];
  });
  const strides = x.dims.map((_, axis) => size(x.dims.slice(axis + 1)));
  const out = new Float32Array(size(dims));
  const run = dims.at(-1);
  const place = dims.map(() => 0);
  for (let to = 0; to < out.length; to += run) {
    const at = place.reduce((sum, one, axis) => sum + (one + from[axis]) * strides[axis], 0);
    out.set(x.data.subarray(at, at + run), to);
    for (let axis = dims.length - 2; axis >= 0 && ++place[axis] === dims[axis]; axis--) {
      place[axis] = 0;
    }
  }
  return new Tensor("float32", out, dims);
}

function reshape([x, shape]) {
  const dims = [...shape.data].map((dim, axis) => dim || x.dims[axis]);
  const open = dims.indexOf(-1);
  if (open >= 0) dims[open] = -x.data.length / size(dims);
  return new Tensor("float32", x.data, dims);
}

/** Two operands, the second of which repeats: one number an axis, or one along one axis. */
function broadcast(apply) {
  return ([a, b]) => {
    if (size(b.dims) > size(a.dims)) [a, b] = [b, a];
    const axes = a.dims.map((_, axis) => b.dims[axis - a.dims.length + b.dims.length] ?? 1);
    const own = axes.findIndex((dim) => dim > 1);
    const last = axes.findLastIndex((dim) => dim > 1);
    const inner = size(a.dims.slice(last + 1));
    const isRun = axes.every((dim, axis) => axis < own || axis > last || dim === a.dims[axis]);
    if (!isRun) throw new Error("generator.onnx combines arrays in an unsupported way.");
    const out = new Float32Array(a.data.length);
    for (let i = 0, j = 0; i < out.length; j = (j + 1) % b.data.length) {
      for (const end = i + inner; i < end; i++) out[i] = apply(a.data[i], b.data[j]);
    }
    return new Tensor("float32", out, a.dims);
  };
}

const each = (apply) => ([x], given) =>
  new Tensor("float32", x.data.map((value) => apply(value, given)), x.dims);

export const OPERATIONS = {
  Add: broadcast((a, b) => a + b),
  Cast: ([x]) => x, // of weights stored as float16, which are read as float32 already
  Concat: concat,
  Conv: conv,
  ConvTranspose: convTranspose,
  DepthToSpace: depthToSpace,
  LeakyRelu: each((value, { alpha = 0.01 }) => (value < 0 ? alpha * value : value)),
  MatMul: matMul,
  Mul: broadcast((a, b) => a * b),
  Relu: each((value) => (value > 0 ? value : 0)),
  Reshape: reshape,
  Slice: slice,
  Tanh: each(Math.tanh),
  Transpose: transpose,
};

export class InferenceSession {
  /** @param {Uint8Array} bytes of a generator.onnx. */
  static async create(bytes) {
    const graph = fields(fields(bytes).one(7));
    const session = new InferenceSession();
    session.nodes = graph.all(1).map(node);
    session.constants = graph.all(5).map(constant).map(({ name, tensor }) => [name, tensor]);
    session.outputNames = graph.all(12).map((one) => text(fields(one).one(1)));
    const unknown = session.nodes.find(({ operation }) => !(operation in OPERATIONS));
    if (unknown) throw new Error(`generator.onnx needs ${unknown.operation}, which is not supported here.`);
    return session;
  }

  /** @param {object} given tensors by name. */
  async run(given) {
    const values = new Map([...this.constants, ...Object.entries(given)]);
    for (const { operation, inputs, outputs, given: how } of this.nodes) {
      const operands = inputs.map((name) => values.get(name));
      values.set(outputs[0], OPERATIONS[operation](operands, how));
    }
    return Object.fromEntries(this.outputNames.map((name) => [name, values.get(name)]));
  }
}

export const env = { wasm: {} };
