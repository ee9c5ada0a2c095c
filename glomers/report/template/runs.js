// The list of all runs sorts, filters and keeps up; a run in progress shows how far it is.

const EVERY = 1000; // milliseconds between two looks at what has changed
const byId = (id) => document.getElementById(id);
const pause = (time) => new Promise((done) => setTimeout(done, time));

// Ask again and again, one question at a time; `take` says whether to go on.
async function poll(address, before, take) {
  for (;;) {
    try {
      const text = await (await fetch(address)).text();
      if (text !== before && (await take(text)) === false) return;
      before = text;
    } catch {
      // The server has ended, perhaps to come back.
    }
    await pause(EVERY);
  }
}

function list() {
  const rows = () => [...document.querySelectorAll(".runs tbody tr")];
  let sorted = null; // what by, a column's number or a figure's name, and the direction: 1 or -1

  function sort() {
    if (!sorted) return;
    const [by, direction] = sorted;
    const value = (row) =>
      typeof by === "number"
        ? row.querySelectorAll("td[data-value]")[by].dataset.value
        : JSON.parse(row.dataset.figures)[by];
    const compare = (a, b) =>
      typeof a === "number" ? a - b : a.localeCompare(b, "en", { numeric: true });
    const keyed = rows().map((row) => [value(row), row]);
    const known = keyed.filter(([key]) => key !== undefined);
    known.sort(([a], [b]) => direction * compare(a, b));
    const others = keyed.filter(([key]) => key === undefined);
    document.querySelector(".runs tbody").append(...[...known, ...others].map(([, row]) => row));
    document.querySelectorAll("[data-sort]").forEach((button) => {
      const order = direction > 0 ? "ascending" : "descending";
      if (Number(button.dataset.sort) === by) button.parentElement.ariaSort = order;
      else button.parentElement.removeAttribute("aria-sort");
    });
  }

  function filter() {
    const words = byId("text-filter").value.toLowerCase().split(/\s+/);
    const state = byId("state-filter").value;
    let shown = 0;
    for (const row of rows()) {
      const text = row.textContent.toLowerCase();
      row.hidden = (state && row.dataset.state !== state) || !words.every((w) => text.includes(w));
      shown += !row.hidden;
    }
    byId("count").textContent = shown === rows().length ? "" : `${shown} of ${rows().length}`;
  }

  function choose() {
    const boxes = rows().map((row) => row.querySelector("input"));
    const many = boxes.filter((box) => box.checked).length;
    boxes.forEach((box) => (box.disabled = many === 2 && !box.checked));
    byId("compare").disabled = many !== 2;
  }

  async function renew() {
    const page = new DOMParser().parseFromString(await (await fetch("/")).text(), "text/html");
    const fresh = page.querySelector(".runs tbody");
    if (!byId("count") || !fresh) return location.reload();
    const chosen = rows().map((row) => row.querySelector("input")).filter((box) => box.checked);
    const names = new Set(chosen.map((box) => box.value));
    fresh.querySelectorAll("input").forEach((box) => (box.checked = names.has(box.value)));
    document.querySelector(".runs tbody").replaceWith(fresh);
    byId("subject").textContent = page.getElementById("subject").textContent;
    sort();
    filter();
    choose();
  }

  if (byId("count")) {
    document.querySelectorAll("[data-sort]").forEach((button) => {
      const column = Number(button.dataset.sort);
      button.addEventListener("click", () => {
        byId("figure").value = "";
        sorted = [column, sorted && sorted[0] === column ? -sorted[1] : 1];
        sort();
      });
    });
    byId("figure").addEventListener("change", (event) => {
      if (!event.target.value) return;
      sorted = [event.target.value, -1];
      sort();
    });
    byId("text-filter").addEventListener("input", filter);
    byId("text-filter").addEventListener("keydown", (event) => {
      if (event.key === "Enter") event.preventDefault();
    });
    byId("state-filter").addEventListener("change", filter);
    document.querySelector(".runs").addEventListener("change", choose);
    filter();
    choose();
  }
  poll("/changes", byId("subject").dataset.state, renew);
}

function live() {
  let frame = byId("so-far");
  let due = performance.now() + EVERY;

  // Load the page anew behind the one that is seen, and show the same part of it.
  async function renew() {
    const began = performance.now();
    due = Infinity;
    const next = frame.cloneNode();
    next.classList.add("behind");
    const loaded = new Promise((done) => next.addEventListener("load", done));
    frame.after(next);
    await loaded;
    for (let tries = 0; tries < 200 && !next.contentWindow.report; tries++) await pause(50);
    const [seen, fresh] = [frame.contentWindow, next.contentWindow];
    const view = seen.report?.view;
    if (view && fresh.report && (view.from > view.first || view.to < view.last)) {
      fresh.report.view.show(view.from, view.to);
    }
    fresh.scrollTo(0, seen.scrollY);
    next.classList.remove("behind");
    frame.remove();
    frame = next;
    due = performance.now() + 3 * (performance.now() - began) + EVERY; // it may take long to make
  }

  const isBusy = () => ["INPUT", "SELECT"].includes(frame.contentDocument?.activeElement?.tagName);

  poll(byId("progress").dataset.progress, null, (text) => {
    const { state, words, log } = JSON.parse(text);
    if (state !== "running") {
      location.reload();
      return false;
    }
    byId("progress").textContent = words;
    byId("log").textContent = log;
    if (byId("keep-up").checked && performance.now() > due && !isBusy()) renew();
    return true;
  });
}

if (document.body.className === "list") list();
if (byId("so-far")) live();
