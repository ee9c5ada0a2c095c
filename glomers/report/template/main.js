// The page put together: tracks, filters, details, keys.

class App {
  constructor(run) {
    this.run = run;
    this.problems = run.about.problems;
    this.arrives = run.about.fates.map((fate) => fate === "arrived" || fate === "late");
    this.gutter = 84;
    this.view = new View(run.start, run.end);
    this.theme = new Theme(() => this.view.changed());
    this.filter = new Filter(this);
    this.follow = new Follow(this);
    this.details = new Details(this);
    this.jumped = -1;
    this.tracks = this.makeTracks();
    document.getElementById("tracks").append(...this.tracks.map((track) => track.box));
    this.view.onChange(() => this.draw());
    showTop(this);
    showProblems(this);
    showKeys();
    this.setUpControls();
    document.addEventListener("keydown", (event) => this.key(event));
    this.view.changed();
  }

  makeTracks() {
    const { run } = this;
    const tracks = [new Overview(this), new Axis(this)];
    if (run.messages.count) tracks.push((this.messages = new MessageTrack(this)));
    if (run.operations.count) {
      tracks.push(new ProcessTrack(this), new LatencyTrack(this), new RateTrack(this));
    }
    if (run.stable.known.length) tracks.push(new StableTrack(this));
    if (run.logs.timed) tracks.push(new LogTrack(this, run.logs));
    return tracks;
  }

  draw() {
    const { view } = this;
    this.gutter = document.body.clientWidth < 600 ? 58 : 84;
    for (const track of this.tracks) track.draw();
    const shown = this.messages ? ` · ${this.messages.count.toLocaleString("en")} messages` : "";
    const text = `${moment(view.from, view.span)} – ${moment(view.to, view.span)}${shown}`;
    document.getElementById("range").textContent = text;
  }

  // Pointing

  pointAt(track, x, y) {
    const { view } = this;
    view.hovered = { message: NONE, operation: NONE };
    const inside = track && x >= track.gutter;
    view.cursor = inside ? track.time(x) : null;
    const text = (inside && track.hover(x, y)) || "";
    this.pair();
    const tip = document.getElementById("tip");
    tip.hidden = !text;
    tip.textContent = text;
    if (text) {
      const box = track.canvas.getBoundingClientRect();
      const left = Math.min(box.left + x + 14, innerWidth - tip.offsetWidth - 8);
      tip.style.left = `${Math.max(4, left)}px`;
      tip.style.top = `${Math.min(box.top + y + 16, innerHeight - tip.offsetHeight - 4)}px`;
    }
    view.changed();
  }

  // Whoever points at a message sees its operation, and the other way round.
  pair() {
    const { run } = this;
    const { hovered } = this.view;
    if (hovered.message !== NONE) {
      const { request } = run.messages;
      const operation = run.operationOf.get(hovered.message) ?? run.operationOf.get(request[hovered.message]);
      hovered.operation = operation ?? NONE;
    } else if (hovered.operation !== NONE) {
      hovered.message = run.operations.message[hovered.operation];
    }
  }

  pickMessage(row) {
    const { view, run } = this;
    view.message = row;
    view.operation = NONE;
    if (row === NONE) {
      this.details.clear();
      view.changed();
      return;
    }
    const { at, end, request } = run.messages;
    view.operation = run.operationOf.get(row) ?? run.operationOf.get(request[row]) ?? NONE;
    this.details.message(row);
    view.ensure(at[row], end[row]);
  }

  pickTurn(number) {
    const { view, run } = this;
    view.message = run.turns.message[number];
    view.operation = NONE;
    this.details.turn(number);
    view.changed();
  }

  pickOperation(index) {
    const { view, run } = this;
    view.operation = index;
    view.message = NONE;
    if (index === NONE) {
      this.details.clear();
      view.changed();
      return;
    }
    view.message = run.operations.message[index];
    this.details.operation(index);
    view.ensure(run.operations.at[index], run.operations.end[index]);
  }

  // Problems

  canJump({ time, values, messages, operations }) {
    const places = messages.length + operations.length + (this.messages ? values.length : 0);
    return time !== null || places > 0;
  }

  // Show the place of a problem: follow one of its values, or bring its time into sight, and read
  // the first message or operation that it is about.
  async jump(number, value = this.problems[number].values[0]) {
    const { time, messages, operations } = this.problems[number];
    this.jumped = number;
    document.querySelectorAll("#problems > ol > li").forEach((item, i) => {
      item.classList.toggle("current", i === number);
    });
    const follows = value !== undefined && this.messages !== undefined;
    if (follows) await this.followValue(value);
    if (messages.length) {
      const { at, end } = this.run.messages;
      const { view } = this;
      if (follows) view.show(Math.min(view.from, at[messages[0]]), Math.max(view.to, end[messages[0]]));
      this.pickMessage(messages[0]);
    }
    if (!messages.length && operations.length) this.pickOperation(operations[0]);
    if (time !== null && !follows) this.view.goTo(time);
    if (time !== null) this.view.cursor = time;
    this.showExplorer();
  }

  showExplorer() {
    document.getElementById("explorer").scrollIntoView({ block: "start" });
  }

  // Places that a problem names: they are picked, brought to the middle, and hidden by no filter.

  visitMessage(row) {
    const { filter, follow, run } = this;
    if (!filter.shown[row] || (follow.active && !follow.carries[row])) this.clear();
    this.pickMessage(row);
    this.centre(run.messages.at[row], run.messages.end[row]);
  }

  visitOperation(row) {
    const { run } = this;
    this.pickOperation(row);
    this.centre(run.operations.at[row], run.operations.end[row]);
  }

  visitNode(name) {
    if (this.run.lanes.includes(name)) this.filter.setNode(name);
    this.showExplorer();
  }

  async visitValue(value) {
    if (this.messages) await this.followValue(value);
    this.showExplorer();
  }

  centre(from, to) {
    const half = Math.max(Math.min(this.view.span / 2, 250000), to - from);
    this.view.show((from + to) / 2 - half, (from + to) / 2 + half);
    this.showExplorer();
  }

  jumpToFirst() {
    const first = this.problems.findIndex((problem) => this.canJump(problem));
    if (first >= 0) this.jump(first);
  }

  jumpToNext() {
    const next = this.problems.findIndex((problem, i) => i > this.jumped && this.canJump(problem));
    if (next >= 0) this.jump(next);
    else this.jumpToFirst();
  }

  // Following

  async followText(text) {
    const place = /^(.+)@(\d+)$/.exec(text);
    const message = place && (await this.follow.at(place[1], Number(place[2])));
    if (message !== undefined && message !== null) return this.followValue([place[1], message]);
    let value = text;
    try {
      value = JSON.parse(text);
    } catch {
      // a word without quotes is a string
    }
    return this.followValue(value);
  }

  async followValue(value) {
    const { follow, view, run } = this;
    const box = document.getElementById("following");
    document.getElementById("follow").value = JSON.stringify(value);
    box.hidden = false;
    box.textContent = "looking for it …";
    let count = await follow.set(value);
    if (count === null) return; // something else is followed by now, or nothing
    if (!count && typeof value === "string" && value !== "" && !Number.isNaN(Number(value))) {
      value = Number(value); // keys of objects are strings, though the values were numbers
      count = await follow.set(value);
      if (count === null) return;
    }
    this.showFollowing(count);
    if (count) {
      const last = follow.firsts.length ? run.messages.end[follow.firsts.at(-1)[1]] : follow.start;
      const margin = Math.max((last - follow.start) * 0.2, 20000);
      view.show(follow.start - margin, last + margin);
    }
    view.changed();
  }

  showFollowing(count) {
    const { follow, run } = this;
    const box = document.getElementById("following");
    // Nodes that had it at the same time stand together.
    const had = new Map();
    for (const [lane, row] of follow.firsts) {
      const after = duration(run.messages.end[row] - follow.start);
      if (!had.has(after)) had.set(after, []);
      had.get(after).push(this.details.link(run.lanes[lane], () => this.pickMessage(row)), " ");
    }
    const missing = run.nodes.filter((_, lane) => !follow.firsts.some(([each]) => each === lane));
    const stop = element("button", { type: "button", textContent: "stop following" });
    stop.addEventListener("click", () => this.letGo());
    box.replaceChildren(
      element("strong", { textContent: `Following ${JSON.stringify(follow.value)}: ` }),
      `${count.toLocaleString("en")} messages carry it` +
        (count ? `, the first at ${moment(follow.start)}. Nodes first had it: ` : ". "),
      ...[...had].flatMap(([after, links]) => [...links, `after ${after}; `]),
      missing.length && count ? `Never: ${missing.join(", ")}. ` : "",
      stop,
    );
  }

  letGo() {
    this.follow.clear();
    document.getElementById("following").hidden = true;
    document.getElementById("follow").value = "";
    this.view.changed();
  }

  // Controls

  setUpControls() {
    const { run, filter, view } = this;
    const get = (id) => document.getElementById(id);
    get("node-filter").append(...run.lanes.map((name) => new Option(name, name)));
    const fates = [...run.about.fates.keys()].filter((fate) => run.messages.fate.includes(fate));
    const glyphs = { lost: "○", cut: "×", dropped: "□", late: "△", duplicated: "⋯" };
    const option = (name, count) =>
      new Option(`${glyphs[name] ?? "→"} ${name} (${count.toLocaleString("en")})`, name);
    const counts = run.about.fates.map(() => 0);
    for (const fate of run.messages.fate) counts[fate]++;
    get("fate-filter").append(...fates.map((fate) => option(run.about.fates[fate], counts[fate])));
    const copies = run.copies["copy-row"].length;
    if (copies) get("fate-filter").append(option("duplicated", copies));
    get("node-filter").addEventListener("change", ({ target }) => filter.setNode(target.value));
    get("fate-filter").addEventListener("change", ({ target }) => filter.setFate(target.value));
    get("text-filter").addEventListener("input", ({ target }) => filter.setText(target.value));
    if (this.follow.isKafka) get("follow").placeholder = "key@offset";
    get("follow").addEventListener("change", ({ target }) => {
      if (target.value.trim()) this.followText(target.value.trim());
      else this.letGo();
    });
    get("zoom-in").addEventListener("click", () => view.zoom(0.5));
    get("zoom-out").addEventListener("click", () => view.zoom(2));
    get("whole").addEventListener("click", () => view.whole());
    get("help").addEventListener("click", () => get("keys").showModal());
    this.showLegend();
  }

  showLegend() {
    const { run, filter } = this;
    const buttons = run.families.map((name, number) => {
      const count = run.familyCounts[number].toLocaleString("en");
      const colour = FAMILY_COLOURS[Math.min(number, FAMILY_COLOURS.length - 1)];
      const button = element(
        "button",
        { type: "button", ariaPressed: "true" },
        element("i", { className: `swatch ${colour}` }),
        name,
        element("small", { textContent: count }),
      );
      button.addEventListener("click", () => {
        filter.toggleFamily(name);
        button.ariaPressed = String(!filter.hidden.has(name));
      });
      return button;
    });
    const outcomes = run.about.outcomes.filter((_, i) => run.operations.outcome.includes(i));
    const marks = { fail: " ×", info: " △", open: " ○" };
    const key = outcomes.flatMap((name) => [
      element("i", { className: `swatch ${name}` }),
      name + (marks[name] ?? ""),
    ]);
    const legend = element("span", { className: "outcomes" }, "operations:", ...key);
    const turns = run.turns.count.toLocaleString("en");
    const lost = run.turns.count
      ? [element("span", { className: "turns", textContent: `├─┤ lost turns ${turns}` })]
      : [];
    document.getElementById("legend").append(...buttons, ...lost, legend);
  }

  // Keys

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const typing = event.target.matches("input, select, textarea, pre");
    if (event.key === "Escape") {
      if (typing) event.target.blur();
      this.clear();
      return;
    }
    const act = this.actions[event.key];
    if (typing || !act) return;
    document.getElementById("tip").hidden = true; // what it tells of may have moved
    act();
    event.preventDefault();
  }

  get actions() {
    const { view, run } = this;
    const { request, answer } = run.messages;
    const go = (row) => row !== NONE && row !== undefined && this.pickMessage(row);
    const focus = (id) => document.getElementById(id).focus();
    return {
      ArrowLeft: () => view.pan(-0.25),
      ArrowRight: () => view.pan(0.25),
      "+": () => view.zoom(0.5, this.middle()),
      "=": () => view.zoom(0.5, this.middle()),
      "-": () => view.zoom(2, this.middle()),
      Home: () => view.whole(),
      j: () => this.jumpToNext(),
      ",": () => go(this.neighbour(-1)),
      ".": () => go(this.neighbour(1)),
      r: () => go(request[view.message]),
      a: () => go(answer[view.message]),
      o: () => view.operation !== NONE && this.pickOperation(view.operation),
      "/": () => focus("text-filter"),
      f: () => focus("follow"),
      "?": () => document.getElementById("keys").showModal(),
    };
  }

  // Where keys zoom: at what is picked, if it is in sight.
  middle() {
    const { view, run } = this;
    const { message, operation } = view;
    let time;
    if (message !== NONE) time = run.messages.at[message];
    else if (operation !== NONE) time = run.operations.at[operation];
    return view.from <= time && time <= view.to ? time : undefined;
  }

  // The message before or after the picked one, of those that are shown.
  neighbour(step) {
    const { filter, follow, view, run } = this;
    let row = view.message;
    if (row === NONE) {
      // None is picked: the first that is sent in sight.
      row = run.messages.at.findIndex((at) => at >= view.from) - 1;
      step = 1;
    }
    do row += step;
    while (
      row >= 0 &&
      row < run.messages.count &&
      (!filter.shown[row] || (follow.active && !follow.carries[row]))
    );
    return row >= 0 && row < run.messages.count ? row : NONE;
  }

  clear() {
    const { filter } = this;
    this.letGo();
    this.pickMessage(NONE);
    for (const button of document.querySelectorAll("#legend button")) button.ariaPressed = "true";
    for (const id of ["node-filter", "fate-filter", "text-filter"]) {
      document.getElementById(id).value = "";
    }
    filter.hidden.clear();
    filter.node = filter.fate = "";
    filter.setText("");
  }
}

const began = performance.now();
const app = new App(await Run.load());
document.documentElement.dataset.opened = Math.round(performance.now() - began);
window.report = app; // for whoever opens the console, and for tests
