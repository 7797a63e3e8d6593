/* Builds the page: makes the parts, introduces them to one another, and minds the address bar. */

import { Arithmetic } from "./arithmetic.js";
import { menus } from "./classes.js";
import { createMessages } from "./messages.js";
import { createRenderer } from "./renderer.js";
import { Directions } from "./directions.js";
import { drawn, edited, fromKey, parseSeeds, seedAt } from "./face.js";
import { dragToMorph } from "./drag.js";
import { Morph } from "./morph.js";
import { Names } from "./names.js";
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
    const [space, pictures] = [new Space(info), new Pictures(renderer)];
    pictures.expect(renderer.first(), (seed) => drawn(space, seed));
    const renew = build(info, space, pictures);
    renderer.follow?.(renew);
  } catch (error) {
    messages.failed(error);
    elements.loading.textContent = "";
  }
}

/** Makes the page; a function is returned that takes the info of another version of the model. */
function build(info, space, pictures) {
  document.body.classList.add("ready");
  describe(info);
  menus(info, elements.classes);
  const names = new Names(info);
  const shared = { info, space, pictures, names, ...messages };
  const change = (z, settled) => studio.change(z, settled);
  const sheet = new Sheet(elements);
  const shelf = new Shelf({ ...shared, root: elements.shelf, open, changed: shelfChanged });
  const wall = new Wall({
    ...shared,
    root: elements.wall,
    more: elements.more,
    isKept: (face) => shelf.has(face),
    pick(face) {
      if (!sheet.covers) shelf.add(face); // what is kept is seen beside the studio only
      open(face);
    },
  });
  const panels = {
    directions: new Directions({
      ...shared,
      root: elements.directions,
      change,
      named: () => studio.address(),
    }),
    morph: new Morph({
      ...shared,
      elements,
      change,
      saveFilm: (...film) => studio.saveFilm(...film),
      saveStrip: (...strip) => studio.saveStrip(...strip),
    }),
    arithmetic: new Arithmetic({ ...shared, root: elements.terms, change }),
  };
  const studio = new Studio({ ...shared, elements, shelf, panels, shown, like });
  dragToMorph({ ...shared, dropped: morph });

  function open(face, { panel } = {}) {
    sheet.enter(names.address(face.key));
    studio.open(face, { panel });
    sheet.raise();
  }

  function shown(face) {
    wall.point(face);
    shelf.point(face);
  }

  function morph(from, into) {
    open(from, { panel: "morph" });
    panels.morph.into(into);
  }

  function shelfChanged(faces) {
    elements.empty.hidden = faces.length > 0;
    elements.through.hidden = faces.length < 2;
    wall.mark();
    studio.shelfChanged();
  }

  function hang(title, faceAt) {
    elements.title.textContent = title;
    elements.all.hidden = !title;
    wall.show(faceAt);
    scrollTo({ top: 0 });
  }

  function seeds(ranges, title = "") {
    hang(title, (i) => {
      const seed = seedAt(ranges, i);
      return seed === null ? null : drawn(space, seed);
    });
  }

  function all(first = 0n) {
    elements.seed.value = first;
    seeds([{ first, last: 2n ** 63n - 1n }]);
  }

  function like(face) {
    sheet.dismiss();
    hang(`Like ${face.name.toLowerCase()}, nearest first`, (i) =>
      i ? edited(space, space.near(face.z, i - 1)) : face,
    );
    elements.wall.firstElementChild.focus({ preventScroll: true });
  }

  function fromAddress() {
    try {
      const face = fromKey(space, names.take(location.hash));
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
      const text = elements.seed.value.trim();
      const ranges = parseSeeds(text);
      const isOne = ranges.length === 1 && ranges[0].first === ranges[0].last;
      if (isOne) all(ranges[0].first);
      else seeds(ranges, `Seeds ${text}`);
      if (isOne || !sheet.covers) open(drawn(space, ranges[0].first));
    } catch (error) {
      messages.say(error.message);
    }
  });
  elements.shuffle.addEventListener("click", () => {
    all(BigInt(Math.floor(Math.random() * RANDOM_SEEDS)));
  });
  elements.all.addEventListener("click", () => all());
  elements.through.addEventListener("click", () => {
    const [first, ...others] = shelf.faces;
    open(first, { panel: "morph" });
    panels.morph.through(others);
  });
  addEventListener("popstate", () => (location.hash ? fromAddress() : sheet.lower()));
  retry = () => {
    wall.redraw();
    shelf.redraw();
    studio.redraw();
  };

  all();
  if (location.hash) {
    const address = location.hash;
    if (sheet.covers && !history.state?.sheet) {
      // Who came by a link to a face goes back to the wall first.
      history.replaceState(null, "", location.pathname + location.search);
      sheet.enter(address);
    }
    fromAddress();
  } else studio.open(drawn(space, 0n));
  shelf.show();

  return (newer) => {
    describe(newer);
    space.learn(newer);
    pictures.forget();
    wall.refresh();
    shelf.redraw();
    studio.refresh();
  };
}

function describe(info) {
  // Not by toLocaleString: what it loads when it is first called keeps the wall waiting.
  const commas = String(info.step).replace(/\B(?=(\d{3})+$)/g, ",");
  const step = info.step ? ` · step ${commas}` : "";
  document.title = `${info.dataset} – explorer`;
  elements.dataset.textContent = info.dataset;
  elements.numbers.textContent = info.z_dim;
  elements.facts.textContent = `${info.width} × ${info.height}${step}`;
  // Twice its size is a good size to see a small picture at; very small ones bear a little more.
  const side = Math.min(128, Math.max(72, 2 * info.width));
  document.documentElement.style.setProperty("--tile", `${side}px`);
  document.documentElement.style.setProperty("--ratio", info.width / info.height);
}
