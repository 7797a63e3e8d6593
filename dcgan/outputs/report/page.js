/* Reading values off the charts, and turning the pages of the sample grids. Nothing needs it: without it the page shows the last grid, the curves and their tables. */

"use strict";

/* Sections are folded away, until somebody wants to read or print them. */
const folded = [...document.querySelectorAll(".folded, .sentences")];
const unfold = (hash) => {
  const target = hash.length > 1 && document.getElementById(hash.slice(1));
  const section = target && target.querySelector(".folded, .sentences");
  if (section) section.open = true;
};
for (const link of document.querySelectorAll("nav a")) {
  link.addEventListener("click", () => unfold(link.hash));
}
addEventListener("hashchange", () => unfold(location.hash));
unfold(location.hash);
addEventListener("beforeprint", () => {
  for (const section of folded) {
    section.dataset.open = section.open;
    section.open = true;
  }
});
addEventListener("afterprint", () => {
  for (const section of folded) section.open = section.dataset.open === "true";
});

for (const chart of document.querySelectorAll(".chart")) {
  const reader = chart.querySelector(".reader");
  const input = reader.querySelector("input");
  const output = chart.querySelector("output");
  const points = JSON.parse(reader.querySelector("script").textContent);
  const line = document.createElement("span");
  line.className = "cross";
  const dots = points.looks.map((look) => {
    const dot = document.createElement("span");
    dot.className = `dot ${look}`;
    return dot;
  });
  reader.append(line, ...dots);
  reader.hidden = output.hidden = false;

  const show = () => {
    const i = Number(input.value);
    output.textContent = points.words[i];
    input.setAttribute("aria-valuetext", points.words[i]);
    line.style.left = `${points.x[i]}%`;
    dots.forEach((dot, k) => {
      dot.hidden = points.y[k][i] === null;
      dot.style.left = `${points.x[i]}%`;
      dot.style.bottom = `${points.y[k][i]}%`;
    });
  };
  const follow = (event) => {
    const box = reader.getBoundingClientRect();
    const at = (100 * (event.clientX - box.left)) / box.width;
    const far = points.x.map((x) => Math.abs(x - at));
    input.value = far.indexOf(Math.min(...far));
    show();
  };
  input.addEventListener("input", show);
  reader.addEventListener("pointermove", follow);
  reader.addEventListener("pointerdown", (event) => {
    follow(event);
    input.focus({ preventScroll: true }); // the arrow keys go on from here
  });
  show();
}

for (const figure of document.querySelectorAll(".steps")) {
  const { steps, addresses } = JSON.parse(figure.querySelector("script").textContent);
  const picture = figure.querySelector("img");
  const input = figure.querySelector("input");
  const output = figure.querySelector("output");
  const button = figure.querySelector("button");
  let timer = 0;

  const show = () => {
    const i = Number(input.value);
    const step = steps[i].toLocaleString("en");
    picture.src = addresses[i];
    picture.alt = `The sample grid of step ${step}.`;
    output.textContent = `step ${step}`;
    input.setAttribute("aria-valuetext", `step ${step}`);
  };
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    button.textContent = "Play";
  };
  const turn = () => {
    input.value = Number(input.value) + 1;
    show();
    if (Number(input.value) === steps.length - 1) stop();
  };
  button.addEventListener("click", () => {
    if (timer) return stop();
    if (Number(input.value) === steps.length - 1) {
      input.value = 0;
      show();
    }
    timer = setInterval(turn, 500);
    button.textContent = "Stop";
  });
  input.addEventListener("input", () => {
    stop();
    show();
  });
  input.hidden = button.hidden = steps.length < 2;
  show();
}

for (const figure of document.querySelectorAll(".film")) {
  const button = figure.querySelector("button");
  const still = matchMedia("(prefers-reduced-motion: reduce)").matches;
  const pause = (paused) => {
    figure.classList.toggle("paused", paused);
    figure.classList.toggle("running", !paused);
    button.textContent = paused ? "Play" : "Pause";
  };
  button.addEventListener("click", () => pause(!figure.classList.contains("paused")));
  button.hidden = false;
  pause(still);
}
