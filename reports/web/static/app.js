// What the pages do beside what they are: the time line zooms in place, the map is scrubbed
// through time, and the queue of approvals keeps itself up to date. Every page works without it.
"use strict";

const stamp = (ns) => {
  const s = Math.floor(ns / 1e9), two = (n) => String(n).padStart(2, "0");
  return Math.floor(s / 3600) + ":" + two(Math.floor(s / 60) % 60) + ":" + two(s % 60);
};

// Time line.
for (const section of document.querySelectorAll("[data-timeline]")) {
  const drawing = section.querySelector("[data-drawing]");
  const horizon = Number(section.dataset.horizon);
  let asked = 0;
  const show = async (from, to) => {
    const width = Math.min(Math.max(to - from, 2e9), horizon);
    from = Math.max(0, Math.min(from, horizon - width));
    const range = "?from=" + (from / 1e9).toFixed(1) + "&to=" + ((from + width) / 1e9).toFixed(1);
    const mine = ++asked;
    const answer = await fetch(section.dataset.timeline + range);
    if (!answer.ok || mine !== asked) return;
    drawing.innerHTML = await answer.text();
    history.replaceState(null, "", range + location.hash);
  };
  const change = (how, at = 0.5) => {
    const svg = drawing.querySelector("svg"), from = Number(svg.dataset.from), to = Number(svg.dataset.to), width = to - from;
    const middle = from + at * width;
    switch (how) {
      case "in": return show(middle - at * width / 2, middle + (1 - at) * width / 2);
      case "out": return show(middle - at * width * 2, middle + (1 - at) * width * 2);
      case "earlier": return show(from - width / 2, to - width / 2);
      case "later": return show(from + width / 2, to + width / 2);
      case "all": return show(0, horizon);
    }
  };
  section.addEventListener("click", (event) => {
    const link = event.target.closest("[data-zoom]");
    if (!link) return;
    event.preventDefault();
    change(link.dataset.zoom);
  });
  section.addEventListener("keydown", (event) => {
    const how = {"+": "in", "=": "in", "-": "out", "ArrowLeft": "earlier", "ArrowRight": "later", "0": "all"}[event.key];
    if (!how || event.target !== section) return;
    event.preventDefault();
    change(how);
  });
  drawing.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.shiftKey) return;
    event.preventDefault();
    const box = drawing.querySelector("svg").getBoundingClientRect(), label = 170 / 1190;
    const at = Math.min(1, Math.max(0, ((event.clientX - box.left) / box.width - label) / (1 - label)));
    change((event.deltaY || event.deltaX) < 0 ? "in" : "out", at);
  }, {passive: false});
}

// Map.
for (const slider of document.querySelectorAll("[data-scrub]")) {
  const svg = document.querySelector("svg.estate"), form = slider.form;
  const changes = JSON.parse(svg.dataset.changes), clock = form.querySelector("[data-clock]");
  const hosts = new Map([...svg.querySelectorAll("[data-host]")].map((host) => [host.dataset.host, host]));
  const show = () => {
    const at = Number(slider.value) * 1e9, states = new Map();
    for (const c of changes) {
      if (c.at > at) break;
      let s = states.get(c.host);
      if (!s || c.state === "restored") {
        const kept = s && s.has("isolated") ? ["isolated"] : [];
        states.set(c.host, s = new Set(kept));
      }
      if (c.on) s.add(c.state); else s.delete(c.state);
    }
    for (const [name, host] of hosts) {
      const s = states.get(name) || new Set();
      let state = "quiet";
      for (const x of ["restored", "alert", "attacked", "held"]) if (s.has(x)) state = x;
      host.setAttribute("class", "host " + state + (s.has("isolated") ? " isolated" : ""));
    }
    for (const move of svg.querySelectorAll(".move")) move.classList.toggle("later", Number(move.dataset.at) > at);
    clock.textContent = stamp(at);
  };
  slider.addEventListener("input", show);
  form.querySelector("[data-show]").hidden = true;
  form.addEventListener("submit", (event) => event.preventDefault());
  const play = form.querySelector("[data-play]");
  let timer = 0;
  play.hidden = false;
  play.addEventListener("click", () => {
    if (timer) {
      clearInterval(timer);
      timer = 0;
      play.textContent = "Play";
      return;
    }
    if (Number(slider.value) >= Number(slider.max)) slider.value = 0;
    play.textContent = "Pause";
    timer = setInterval(() => {
      slider.value = Number(slider.value) + Number(slider.max) / 300;
      show();
      if (Number(slider.value) >= Number(slider.max)) play.click();
    }, 100);
  });
}

// Queue of approvals: asked for again every two seconds, unless somebody is writing an answer.
const queue = document.querySelector("[data-queue]");
if (queue) {
  const remembered = sessionStorage.getItem("by") || "";
  const prepare = () => {
    for (const field of queue.querySelectorAll("input[name=by]")) field.value ||= remembered;
  };
  prepare();
  queue.addEventListener("submit", (event) => sessionStorage.setItem("by", event.target.elements.by.value));
  setInterval(async () => {
    if (queue.contains(document.activeElement)) return;
    const answer = await fetch("/approvals").catch(() => null);
    if (!answer || !answer.ok) return;
    const page = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("[data-queue]");
    if (!page || queue.contains(document.activeElement)) return;
    queue.innerHTML = page.innerHTML;
    prepare();
  }, 2000);
}
