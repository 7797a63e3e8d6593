/* A picture as a button, on the wall, on the shelf and in the panels; and arrow keys among them. */

import { emptyCanvas, paint } from "./pixels.js";

const faces = new WeakMap();

/** A button that shows a face; its picture is painted into the canvas inside. */
export function tile(face, info) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "tile";
  button.dataset.name = face.name;
  button.setAttribute("aria-label", face.name);
  button.append(emptyCanvas(info));
  faces.set(button, face);
  return button;
}

/** The tile at or around an element, if there is one. */
export const tileAt = (element) => element?.closest?.(".tile") ?? null;

export const faceOf = (button) => faces.get(button);

export const canvasOf = (button) => button.querySelector("canvas");

/** Paints the pictures of tiles before those that others wait for; an error goes to `failed`. */
export async function drawTiles(pictures, tiles, failed) {
  try {
    await pictures.get(tiles.map(faceOf), {
      urgent: true,
      each: (bitmap, i) => paint(canvasOf(tiles[i]), bitmap),
    });
  } catch (error) {
    failed(error);
  }
}

/**
 * Arrow keys, Home and End among the tiles of a container, which is one stop of the Tab key.
 * Tiles come with tabindex -1 except the first.
 */
export function arrowKeys(container) {
  const tiles = () => [...container.querySelectorAll(".tile")];
  const stepOf = {
    ArrowLeft: () => -1,
    ArrowRight: () => 1,
    ArrowUp: () => -columns(tiles()),
    ArrowDown: () => columns(tiles()),
    Home: () => -Infinity,
    End: () => Infinity,
  };
  container.addEventListener("keydown", (event) => {
    const here = tileAt(event.target);
    if (!here || !(event.key in stepOf) || event.altKey || event.ctrlKey || event.metaKey) return;
    event.preventDefault();
    const all = tiles();
    const to = all.indexOf(here) + stepOf[event.key]();
    const target = all[Math.min(all.length - 1, Math.max(0, to))];
    target.focus({ preventScroll: true });
    target.scrollIntoView({ block: "nearest", inline: "nearest" });
  });
  container.addEventListener("focusin", (event) => {
    if (tileAt(event.target)) oneStop(tiles(), tileAt(event.target));
  });
}

/** Makes one tile the one that the Tab key finds. */
export function oneStop(tiles, chosen = tiles[0]) {
  for (const other of tiles) other.tabIndex = other === chosen ? 0 : -1;
}

/** How many stand in the first row. */
function columns(tiles) {
  const next = tiles.findIndex((other) => other.offsetTop > tiles[0].offsetTop);
  return next < 0 ? tiles.length : next;
}
