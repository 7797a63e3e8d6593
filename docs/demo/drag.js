/* Dragging one picture onto another: on the way, what lies between them follows the pointer.
   A mouse drags at once; a finger must rest first, because moving it means scrolling. */

import { canvasOf, faceOf, tileAt } from "./tile.js";
import { emptyCanvas, paint } from "./pixels.js";
import { newest } from "./pictures.js";

const SLACK = 6; // pixels that a click may move
const REST_MS = 350;
const FRAMES = 9;

/**
 * @param {object} parts info; space; pictures; dropped(from, into) with two faces;
 *   failed(error).
 */
export function dragToMorph(parts) {
  let drag = null;

  function begin(tile, event) {
    drag = { tile, x: event.clientX, y: event.clientY, touch: event.pointerType !== "mouse" };
    if (drag.touch) drag.rest = setTimeout(() => lift(), REST_MS);
  }

  function lift() {
    drag.ghost = document.createElement("div");
    drag.ghost.className = drag.touch ? "ghost touch" : "ghost";
    drag.canvas = emptyCanvas(parts.info);
    drag.canvas.getContext("2d").drawImage(canvasOf(drag.tile), 0, 0);
    drag.ghost.append(drag.canvas);
    document.body.append(drag.ghost);
    document.body.classList.add("dragging");
    drag.tile.classList.add("end");
    drag.films = new Map();
    drag.film = newest((now, into) => film(parts, now, into));
    follow(drag, drag.x, drag.y);
  }

  function stop() {
    if (!drag) return;
    clearTimeout(drag.rest);
    if (drag.ghost) {
      drag.ghost.remove();
      document.body.classList.remove("dragging");
      for (const end of [drag.tile, drag.into]) end?.classList.remove("end");
      // The click that follows a drag is not meant.
      addEventListener("click", swallow, { capture: true, once: true });
      setTimeout(() => removeEventListener("click", swallow, { capture: true }));
    }
    drag = null;
  }

  addEventListener("pointerdown", (event) => {
    const tile = tileAt(event.target);
    if (tile && event.isPrimary && event.button === 0 && !tile.disabled) begin(tile, event);
  });
  addEventListener("pointermove", (event) => {
    if (!drag || !event.isPrimary) return;
    const far = Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > SLACK;
    if (!drag.ghost && far && drag.touch) return stop(); // a finger that scrolls
    if (!drag.ghost && far) lift();
    if (drag?.ghost) follow(drag, event.clientX, event.clientY);
  });
  addEventListener("pointerup", (event) => {
    const { tile, into, ghost } = drag ?? {};
    if (!drag || !event.isPrimary) return;
    const over = ghost && into && tileAt(document.elementFromPoint(event.clientX, event.clientY));
    stop();
    if (over && over === into) parts.dropped(faceOf(tile), faceOf(into));
  });
  addEventListener("pointercancel", stop);
  addEventListener("keydown", (event) => event.key === "Escape" && stop());
  // A lifted picture must not scroll the page along, nor open the browser's menu for images.
  addEventListener("touchmove", (event) => drag?.ghost && event.preventDefault(), {
    passive: false,
  });
  addEventListener("contextmenu", (event) => drag?.touch && event.preventDefault());
  addEventListener("dragstart", (event) => tileAt(event.target) && event.preventDefault());
}

function swallow(event) {
  event.stopPropagation();
  event.preventDefault();
}

const centre = (tile) => {
  const box = tile.getBoundingClientRect();
  return [box.left + box.width / 2, box.top + box.height / 2, box.width];
};

/** Moves the ghost to the pointer, finds the other end, shows the frame for where it is between. */
function follow(drag, x, y) {
  drag.ghost.style.translate = `${x}px ${y}px`;
  const [fromX, fromY, width] = centre(drag.tile);
  const [dx, dy] = [x - fromX, y - fromY];
  const way = Math.hypot(dx, dy);
  if (!(way > 0)) return;
  // Inside the first picture, look one picture ahead: the morph begins with the first movement.
  const reach = Math.max(1, (width * 1.08) / way);
  const ahead = document.elementFromPoint(fromX + dx * reach, fromY + dy * reach);
  const into = tileAt(ahead) ?? drag.into;
  if (!into || into === drag.tile) return;
  if (into !== drag.into) {
    drag.into?.classList.remove("end");
    into.classList.add("end");
    drag.into = into;
  }
  const [toX, toY] = centre(into);
  const [ax, ay] = [toX - fromX, toY - fromY];
  drag.t = Math.min(1, Math.max(0, (dx * ax + dy * ay) / (ax * ax + ay * ay)));
  if (drag.films.has(into)) showFrame(drag);
  else drag.film(drag, into);
}

/** Draws all frames from one picture into another in one batch: after that, moving is free. */
async function film({ space, pictures, failed }, drag, into) {
  if (!drag.ghost.isConnected || drag.films.has(into)) return;
  const [a, b] = [faceOf(drag.tile).z, faceOf(into).z];
  const zs = Array.from({ length: FRAMES }, (_, i) => ({ z: space.between(a, b, i / (FRAMES - 1)) }));
  try {
    drag.films.set(into, await pictures.get(zs, { urgent: true }));
    if (drag.into === into) showFrame(drag);
  } catch (error) {
    failed(error);
  }
}

function showFrame(drag) {
  const frames = drag.films.get(drag.into);
  paint(drag.canvas, frames[Math.round(drag.t * (FRAMES - 1))]);
}
