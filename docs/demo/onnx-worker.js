/* The other half of onnx.js: loads the generator and what runs it, then turns vectors into pixels. */

const MODEL = "generator.onnx";
const SCRIPT = "ort.wasm.bundle.min.mjs";
const BINARY = "ort-wasm-simd-threaded.wasm";

let ort;
let session;
let loaded; // bytes so far
let total; // bytes of all files, as they are sent

/** A file's bytes; says how far the loading of all files is. */
async function load(url, label, integrity = "") {
  const answer = await fetch(url, { integrity }).catch(() => null);
  if (!answer?.ok) throw new Error(`${label} could not be loaded (${url}).`);
  const chunks = [];
  for (const reader = answer.body.getReader(); ; ) {
    const { done, value } = await reader.read();
    if (done) break;
    chunks.push(value);
    loaded += value.length;
    const percent = Math.min(100, Math.round((100 * loaded) / total));
    postMessage({ progress: `loading: ${percent} % of ${(total / 1e6).toFixed(1)} MB` });
  }
  const blob = new Blob(chunks);
  if (!url.endsWith(".gz")) return new Uint8Array(await blob.arrayBuffer());
  const [first, second] = new Uint8Array(await blob.slice(0, 2).arrayBuffer());
  // Some hosts say of such files that they are compressed, and the browser has unpacked them.
  const isPacked = first === 0x1f && second === 0x8b;
  const unpacked = blob.stream().pipeThrough(new DecompressionStream("gzip"));
  return new Uint8Array(await (isPacked ? new Response(unpacked) : blob).arrayBuffer());
}

async function loadScript(url, integrity) {
  if (integrity) {
    // `import` cannot check a hash: fetch does, and what it fetched is imported.
    const bytes = await load(url, "The runtime", integrity);
    url = URL.createObjectURL(new Blob([bytes], { type: "text/javascript" }));
  }
  return import(url).catch(() => {
    throw new Error(`The runtime could not be loaded (${url}).`);
  });
}

async function open({ model, runtime, integrity = {}, bytes }) {
  const name = bytes[`${BINARY}.gz`] && self.DecompressionStream ? `${BINARY}.gz` : BINARY;
  loaded = 0;
  total = bytes[MODEL] + (runtime ? bytes[name] : 0);
  const [module, binary, generator] = await Promise.all([
    runtime ? loadScript(runtime + SCRIPT, integrity[SCRIPT]) : import("./plain.js"),
    runtime && load(runtime + name, "The runtime", integrity[name]),
    load(model, "The generator"),
  ]);
  ort = module;
  ort.env.wasm.numThreads = 1; // more need headers that static hosts do not send
  ort.env.wasm.wasmBinary = binary;
  session = await ort.InferenceSession.create(generator);
  postMessage({ progress: "" });
}

async function render({ z, shape, labels, height, width }) {
  const inputs = { z: new ort.Tensor("float32", z, shape) };
  for (const [name, number] of Object.entries(labels)) {
    inputs[name] = new ort.Tensor("int32", new Int32Array(shape[0]).fill(number), [shape[0]]);
  }
  const images = (await session.run(inputs))[session.outputNames[0]];
  const channels = images.dims[3];
  if (images.dims[1] !== height || images.dims[2] !== width || ![1, 3].includes(channels)) {
    throw new Error("generator.onnx and dcgan.json do not belong together.");
  }
  // The array clips, and rounds halves to even: [-1, 1] becomes bytes as in dcgan/images.py.
  const pixels = new Uint8ClampedArray(shape[0] * height * width * 4).fill(255);
  for (let i = 0, from = 0; i < pixels.length; i += 4, from += channels) {
    for (let c = 0; c < 3; c++) {
      pixels[i + c] = (images.data[from + Math.min(c, channels - 1)] + 1) * 127.5;
    }
  }
  return pixels;
}

onmessage = async ({ data }) => {
  try {
    const result = data.open ? await open(data.open) : await render(data.render);
    postMessage({ id: data.id, result });
  } catch (error) {
    postMessage({ id: data.id, fault: error.message });
  }
};
