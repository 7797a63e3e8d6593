/* Builds the page: makes the parts, introduces them to one another, and minds the address bar. */

import { Arithmetic } from "./arithmetic.js";
import { menus } from "./classes.js";
import { createMessages } from "./messages.js";
import { createRenderer } from "./renderer.js";
import { Directions } from "./directions.js";
import { drawn, edited, fromKey, parseSeed } from "./face.js";
import { dragToMorph } from "./drag.js";
import { Morph } from "./morph.js";
import { Pictures } from "./pictures.js";
import { Sheet } from "./sheet.js";
import { Shelf } from "./shelf.js";
import { Space } from "./space.js";
import { Studio } from "./studio.js";
import { Wall } from "./wall.js";

const RANDOM_SEEDS = 1_000_000; // short enough to be read out

const elements = Object.fromEntries(
  [...document.querySelectorAll("[id]")].map((element) => [element.id, element]),
);

let retry = start;
const messages = createMessages(elements, () => retry());
start();

async function start() {
  try {
    const renderer = createRenderer((text) => (elements.loading.textContent = text));
    const info = await renderer.info();
    build(info, new Space(info), new Pictures(renderer));
  } catch (error) {
    messages.failed(error);
    elements.loading.textContent = "";
  }
}

function build(info, space, pictures) {
  document.body.classList.add("ready");
  describe(info);
  menus(info, elements.classes);
  const shared = { info, space, pictures, ...messages };
  const change = (z, settled) => studio.change(z, settled);
  const sheet = new Sheet(elements);
  const shelf = new Shelf({ ...shared, root: elements.shelf, open, changed: shelfChanged });
  const wall = new Wall({
    ...shared,
    root: elements.wall,
    more: elements.more,
    isKept: (face) => shelf.has(face),
    pick(face) {
      shelf.add(face);
      open(face, { raise: false });
    },
  });
  const panels = {
    directions: new Directions({ ...shared, root: elements.directions, change }),
    morph: new Morph({ ...shared, elements, change }),
    arithmetic: new Arithmetic({ ...shared, root: elements.terms, change }),
  };
  const studio = new Studio({ ...shared, elements, shelf, panels, like });
  dragToMorph({ ...shared, dropped: morph });

  function open(face, { raise = true, panel } = {}) {
    if (location.hash !== `#${face.key}`) history.pushState(null, "", `#${face.key}`);
    studio.open(face, { panel });
    if (raise) sheet.raise();
  }

  function morph(from, into) {
    open(from, { panel: "morph" });
    panels.morph.into(into);
  }

  function shelfChanged(faces) {
    elements.empty.hidden = faces.length > 0;
    wall.mark();
    studio.shelfChanged();
  }

  function hang(title, faceAt) {
    elements.title.textContent = title;
    elements.all.hidden = !title;
    wall.show(faceAt);
    scrollTo({ top: 0 });
  }

  function all(first = 0n) {
    elements.seed.value = first;
    hang("", (i) => (first + BigInt(i) < 2n ** 63n ? drawn(space, first + BigInt(i)) : null));
  }

  function like(face) {
    sheet.lower();
    hang(`Like ${face.name.toLowerCase()}, nearest first`, (i) =>
      i ? edited(space, space.near(face.z, i - 1)) : face,
    );
    elements.wall.firstElementChild.focus({ preventScroll: true });
  }

  function fromAddress() {
    try {
      const face = fromKey(space, location.hash.slice(1));
      studio.open(face);
      sheet.raise();
    } catch (error) {
      messages.say(error.message);
      studio.open(drawn(space, 0n));
    }
  }

  elements.seek.addEventListener("submit", (event) => {
    event.preventDefault();
    try {
      const seed = parseSeed(elements.seed.value);
      all(seed);
      open(drawn(space, seed));
    } catch (error) {
      messages.say(error.message);
    }
  });
  elements.shuffle.addEventListener("click", () => {
    all(BigInt(Math.floor(Math.random() * RANDOM_SEEDS)));
  });
  elements.all.addEventListener("click", () => all());
  addEventListener("popstate", () => (location.hash ? fromAddress() : sheet.lower()));
  retry = () => {
    wall.redraw();
    shelf.redraw();
    studio.redraw();
  };

  all();
  if (location.hash) fromAddress();
  else studio.open(drawn(space, 0n));
  shelf.show();
}

function describe(info) {
  const step = info.step ? ` · step ${info.step.toLocaleString("en")}` : "";
  document.title = `${info.dataset} – explorer`;
  elements.dataset.textContent = info.dataset;
  elements.facts.textContent = `${info.width} × ${info.height}${step}`;
  // Twice its size is a good size to see a small picture at; very small ones bear a little more.
  const side = Math.min(128, Math.max(72, 2 * info.width));
  document.documentElement.style.setProperty("--tile", `${side}px`);
  document.documentElement.style.setProperty("--ratio", info.width / info.height);
}
