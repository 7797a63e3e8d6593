/* How this page draws. `export --format web` puts another file of this name in its place. */

export { createRenderer } from "./server.js";
