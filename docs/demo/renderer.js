/* How this page draws: by itself. Written by `export --format web`. */

import { createRenderer as create } from "./onnx.js";

const FILES = {
  "model": "generator.onnx",
  "info": "dcgan.json",
  "bytes": {
    "generator.onnx": 985123
  },
  "first": {
    "image": "first.png",
    "count": 48,
    "columns": 8
  }
};

export const createRenderer = (progress) => create(FILES, progress);
