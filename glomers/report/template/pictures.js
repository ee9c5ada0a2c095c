// Pictures of what went wrong, by the form of their data: drawings in SVG, and a table for a log.
// Whatever somebody sent is only ever put in as text. What a colour says, a word or mark says too.

// What elements of a drawing belong to: its name looks like an address, and the page has none.
const SVG = document.querySelector("svg").namespaceURI;
const LETTER = 7.3; // pixels, of the drawings' monospaced letters
const LINE = 16; // pixels from a line of text to the next
const MOST_VALUE = 160; // characters
const MOST_ORDERED = 16; // operations of an order that are drawn: the last

const PICTURES = new Map([
  ["cycle", drawCycle],
  ["log", drawLog],
  ["order", drawOrder],
  ["spread", drawSpread],
  ["exchange", drawExchange],
]);

function svg(tag, attributes = {}, ...children) {
  const made = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value);
  made.append(...children);
  return made;
}

function drawing(width, height, label, ...children) {
  const size = { width, height, viewBox: `0 0 ${width} ${height}` };
  return svg("svg", { ...size, role: "group", "aria-label": label }, ...children);
}

function words(x, y, text, className = "", anchor = "start") {
  return svg("text", { x, y, class: className, "text-anchor": anchor }, text);
}

// Something that can be pressed; it is as it was if there is nowhere to go.
function pressable(node, row, act, title) {
  if (row === NONE) return node;
  node.classList.add("press");
  node.setAttribute("role", "button");
  node.setAttribute("tabindex", 0);
  node.setAttribute("aria-label", title);
  node.append(svg("title", {}, title));
  node.addEventListener("click", () => act(row));
  node.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" && event.key !== " ") return;
    event.preventDefault();
    event.stopPropagation();
    act(row);
  });
  return node;
}

function arrowHead(x, y, angle, className = "") {
  const side = (turn) => `${x - 8 * Math.cos(angle + turn)},${y - 8 * Math.sin(angle + turn)}`;
  const points = `${x},${y} ${side(0.4)} ${side(-0.4)}`;
  return svg("polygon", { points, class: `head ${className}` });
}

// A text in lines of at most so many characters, broken between words where that can be.
function wrapped(text, most) {
  const lines = [""];
  for (let word of text.split(/\s+/)) {
    const last = lines.at(-1);
    if (last && last.length + 1 + word.length <= most) {
      lines[lines.length - 1] = `${last} ${word}`;
      continue;
    }
    if (last) lines.push("");
    for (; word.length > most; word = word.slice(most)) lines.splice(-1, 1, word.slice(0, most), "");
    lines[lines.length - 1] = word;
  }
  return lines;
}

function shownValue(value) {
  const text = JSON.stringify(value) ?? "";
  return text.length > MOST_VALUE ? `${text.slice(0, MOST_VALUE)}…` : text;
}

function hint(text) {
  return element("p", { className: "hint", textContent: text });
}

// Moments from left to right in their order, all equally far apart, so that those that are close
// together can be told apart.
class Columns {
  constructor(left, right) {
    this.edges = [left, right];
    this.moments = [];
  }

  add(time, name) {
    this.moments.push([time, name]);
    this.ranks = null;
  }

  x(name) {
    this.ranks ??= new Map(
      this.moments.sort(([a], [b]) => a - b || 0).map(([, each], rank) => [each, rank]),
    );
    const [left, right] = this.edges;
    return left + (this.ranks.get(name) / Math.max(this.ranks.size - 1, 1)) * (right - left);
  }
}

const seconds = (nanos) => `${(nanos / 1e9).toFixed(3)} s`;

// A cycle of transactions: a box for each with what it did, and below it why it comes before the
// next. The last edge leads back to the first.
function drawCycle(app, { picture }, width) {
  const { transactions, edges } = picture;
  const left = 26;
  const boxes = svg("g");
  const lines = svg("g");
  const most = Math.floor((width - left - 18) / LETTER);
  let y = 2;
  transactions.forEach(([row, process, time, did], i) => {
    const name = `T${i + 1}`;
    const steps = did.flatMap((step) => wrapped(stepInWords(step), most));
    const height = (steps.length + 1) * LINE + 10;
    const box = svg(
      "g",
      { class: "transaction" },
      svg("rect", { x: left, y, width: width - left - 2, height, rx: 6 }),
      words(left + 8, y + 16, name, "name"),
      words(left + 14 + name.length * LETTER, y + 16, `process ${process}, ${seconds(time)}`, "soft"),
      ...steps.map((text, k) => words(left + 8, y + 16 + (k + 1) * LINE, text)),
    );
    boxes.append(pressable(box, row, (one) => app.visitOperation(one), `show ${name}`));
    y += height;
    if (i >= edges.length) return;
    const [type, reason] = edges[i];
    const kind = ["ww", "wr", "rw"].includes(type) ? type : "other";
    const why = wrapped(`${type}: ${reason}`, most - 2);
    const tall = why.length * LINE + 14;
    const isLast = i === transactions.length - 1;
    const x = left + 12;
    const path = isLast ? `M${x},${y} V${y + tall - 6} H10 V20 H${left - 4}` : `M${x},${y} V${y + tall - 5}`;
    const [tipX, tipY, angle] = isLast ? [left, 20, 0] : [x, y + tall, Math.PI / 2];
    lines.append(
      svg(
        "g",
        { class: `edge ${kind}` },
        svg("path", { d: path }),
        arrowHead(tipX, tipY, angle),
        ...why.map((text, k) => words(x + 12, y + 18 + k * LINE, text, "why")),
      ),
    );
    y += tall;
  });
  return drawing(width, y + 2, `a cycle of ${transactions.length} transactions`, lines, boxes);
}

function stepInWords(step) {
  if (!Array.isArray(step)) return shownValue(step);
  const [f, key, value] = step;
  const word = { r: "read", w: "write" }[f] ?? f;
  return `${word} ${typeof key === "object" ? shownValue(key) : key}: ${shownValue(value)}`;
}

// A log as each side saw it: a row for each operation, a column for each offset.
function drawLog(app, { picture, operations }) {
  const { key, offsets, sides } = picture;
  const at = new Map(offsets.map((offset) => [offset, new Set()])); // what was seen there
  const places = new Map(); // by message
  for (const [, , , , pairs] of sides) {
    for (const [offset, value] of pairs) {
      const text = JSON.stringify(value);
      at.get(offset)?.add(text);
      if (!places.has(text)) places.set(text, new Set());
      places.get(text).add(offset);
    }
  }
  const notes = new Map();
  const note = (mark, meaning) => notes.set(mark, meaning) && mark;
  const cell = (pairs, offset, isPoll) => {
    const here = pairs.filter(([each]) => each === offset).map(([, value]) => value);
    const box = element("td");
    for (const value of here) {
      const text = JSON.stringify(value);
      const marks = [
        at.get(offset).size > 1 ? note("≠", "not the only message that was seen at this offset") : "",
        places.get(text).size > 1 ? note("=", "the same message is at another offset, too") : "",
      ].join("");
      const words = `${shownValue(value)}${marks ? ` ${marks}` : ""}`;
      box.append(app.details.link(words, () => app.visitValue([key, value])), " ");
      box.classList.toggle("odd", marks !== "");
    }
    const known = pairs.map(([each]) => each);
    if (!here.length && isPoll && offset > Math.min(...known) && offset < Math.max(...known)) {
      box.className = "odd";
      box.textContent = note("∅", "passed over by a poll");
    }
    return box;
  };
  const head = element("tr", {}, element("th", { textContent: `key ${key}, offset`, scope: "col" }));
  head.append(...offsets.map((offset) => element("th", { textContent: offset, scope: "col" })));
  const body = element("tbody");
  for (const [row, node, f, time, pairs] of sides) {
    const who = node || (row === NONE ? "" : `process ${app.run.operations.process[row]}`);
    const name = `${who} ${f} ${seconds(time)}`;
    const told = operations.includes(row);
    const title = told ? note("▸", "what is told above") + name : name;
    const side = row === NONE ? title : app.details.link(title, () => app.visitOperation(row));
    const line = element("tr", { className: told ? "told" : "" });
    line.append(element("th", { scope: "row" }, side));
    line.append(...offsets.map((offset) => cell(pairs, offset, f !== "send")));
    body.append(line);
  }
  const table = element("table", {}, element("thead", {}, head), body);
  const legend = [...notes].map(([mark, meaning]) => `${mark} ${meaning}`).join(" · ");
  return element(
    "div",
    {},
    element("div", { className: "scroll", tabIndex: 0 }, table),
    hint(legend),
  );
}

// The operations in the longest order that works, from top to bottom, each with a bar from its
// beginning to its end; last the one that fits nowhere.
function drawOrder(app, { picture }, width) {
  const { order, misfit } = picture;
  const shown = order.slice(-MOST_ORDERED);
  const all = [...shown, misfit];
  const left = Math.min(Math.floor(width * 0.56), 300);
  const columns = new Columns(left, width - 8);
  all.forEach(([, , , , begin, end], i) => {
    columns.add(begin, `begin ${i}`);
    columns.add(end ?? Infinity, `end ${i}`);
  });
  const most = Math.floor(left / LETTER) - 1;
  const skipped = order.length - shown.length;
  const parts = [];
  let y = 14;
  if (skipped) {
    parts.push(words(0, y, `… ${skipped} before`, "soft"));
    y += 22;
  }
  all.forEach(([row, process, f, value, begin, end], i) => {
    const fits = i < shown.length;
    const what = f === "cas" && Array.isArray(value) ? value.map(shownValue).join(" to ") : shownValue(value);
    const lines = wrapped(`${fits ? skipped + i + 1 : "✗"} ${f} ${what} (process ${process})`, most);
    const [x, right] = [columns.x(`begin ${i}`), columns.x(`end ${i}`)];
    const bar = { x, y: y - 9, width: Math.max(right - x, 2), height: 10, rx: 2 };
    const line = svg("g", { class: fits ? "fits" : "misfit" });
    line.append(
      svg("rect", { x: 0, y: y - 13, width, height: lines.length * LINE + 4, class: "ground" }),
      ...lines.map((part, k) => words(0, y + k * LINE, part)),
      svg("rect", { ...bar, class: end === null ? "bar open" : "bar" }),
    );
    const until = end === null ? "without an end" : `to ${seconds(end)}`;
    const title = `${f} ${what}, process ${process}, from ${seconds(begin)} ${until}`;
    parts.push(pressable(line, row, (one) => app.visitOperation(one), title));
    y += lines.length * LINE + 6;
  });
  const what = `${order.length} operations in an order that works, and one that fits nowhere`;
  return element(
    "div",
    {},
    drawing(width, y, what, ...parts),
    hint(
      "From top to bottom an order that works; ✗ fits nowhere in it. A bar reaches from the " +
        "beginning of an operation to its end, not to scale.",
    ),
  );
}

// A lost value: when each node had it, and the messages that carried it.
function drawSpread(app, { picture }, width) {
  const had = new Map(picture.had);
  const never = new Set(picture.without);
  const arrows = picture.messages.map(([row, src, dest, time, fate]) => ({ row, src, dest, time, fate }));
  const [acknowledging, acknowledged] = picture.acknowledged ?? [];
  const names = [...had.keys(), ...never, ...(acknowledging ? [acknowledging] : [])];
  const mark = (name) => (never.has(name) ? "✗ never" : had.has(name) ? seconds(had.get(name)) : "");
  const dots = [...had].map(([name, time]) => ({ name, time, text: "●" }));
  if (acknowledging) dots.push({ name: acknowledging, time: acknowledged, text: "✓" });
  return element(
    "div",
    {},
    drawMessages(app, arrows, names, mark, dots, width),
    hint(
      "● a node had it · ✓ it acknowledged it · ✗ it never had it. A dashed line is a message " +
        "that did not arrive: × cut, ○ lost, □ dropped. Time goes from left to right, not to scale.",
    ),
  );
}

// A few messages in their order: numbered, with what they say.
function drawExchange(app, { picture }, width) {
  const arrows = picture.messages.map(([row, src, dest, time, says], i) => {
    return { row, src, dest, time, fate: "recv", label: String(i + 1), says };
  });
  const list = element("ol", { className: "says" });
  for (const { row, src, dest, time, says } of arrows) {
    const text = `${seconds(time)} ${src} → ${dest}: ${says}`;
    const link = app.details.link(text, () => app.visitMessage(row));
    list.append(element("li", {}, row === NONE ? text : link));
  }
  const note = hint("Time goes from left to right, not to scale.");
  return element("div", {}, drawMessages(app, arrows, [], () => "", [], width), list, note);
}

const came = ({ fate }) => fate === "recv" || fate === "late";

// Messages in space and time: a line for each name, an arrow for each message. What is pressed is
// shown in the diagram of the whole run.
function drawMessages(app, arrows, names, mark, dots, width) {
  const { run } = app;
  const isClient = (name) => name[0] === "c";
  const everybody = [...names, ...arrows.flatMap(({ src, dest }) => [src, dest])];
  const lanes = [...new Set(everybody.filter((name) => !isClient(name)))].sort(byNumber);
  const left = 92;
  const columns = new Columns(left + 8, width - 14);
  // What was still under way at the end of the run came nowhere.
  const took = ({ row }) => (row === NONE ? NONE : run.messages.took[row]);
  arrows.forEach((arrow, i) => {
    columns.add(arrow.time, `sent ${i}`);
    columns.add(arrow.time + Math.max(took(arrow), 0) * 1000, `end ${i}`);
  });
  // A node has a value when a message with it arrives.
  const carrier = ({ name, text }) => (text === "●" ? arrows.findIndex((a) => a.dest === name && came(a)) : -1);
  dots.forEach((dot, i) => {
    if (carrier(dot) < 0) columns.add(dot.time, `dot ${i}`);
  });
  const step = lanes.length > 10 ? 22 : 34;
  const top = arrows.some(({ src }) => isClient(src)) ? 34 : 16;
  const y = (name) => (isClient(name) ? 8 : top + lanes.indexOf(name) * step);
  const parts = lanes.map((name) => {
    const text = mark(name);
    const lane = svg("g", { class: text.startsWith("✗") ? "lane never" : "lane" });
    const line = svg("line", { x1: left, x2: width, y1: y(name), y2: y(name) });
    const title = lanes.length > 10 ? `${name} ${text}` : name;
    lane.append(line, words(0, y(name) + 4, title.slice(0, 12), "name"));
    if (text && title === name) lane.append(words(0, y(name) + 17, text, "soft"));
    return lane;
  });
  arrows.forEach((arrow, i) => {
    const { row, src, dest, time, fate, label } = arrow;
    const [x1, y1, x3, y3] = [columns.x(`sent ${i}`), y(src), columns.x(`end ${i}`), y(dest)];
    const share = came(arrow) ? 1 : 0.75; // what is lost does not get there
    const [x2, y2] = [x1 + (x3 - x1) * share, y1 + (y3 - y1) * share];
    const line = { x1, y1, x2, y2 };
    const group = svg("g", { class: came(arrow) ? "message" : "message failed" });
    group.append(svg("line", { ...line, class: "target" }), svg("line", line));
    if (came(arrow)) group.append(arrowHead(x2, y2, Math.atan2(y2 - y1, x2 - x1)));
    else group.append(words(x2, y2 + 5, { cut: "×", lost: "○", drop: "□" }[fate] ?? "?", "fate", "middle"));
    if (label) {
      const [middleX, middleY] = [(x1 + x2) / 2, (y1 + y2) / 2];
      group.append(
        svg("circle", { cx: middleX, cy: middleY, r: 8, class: "label" }),
        words(middleX, middleY + 4, label, "", "middle"),
      );
    }
    const title = `${seconds(time)} ${src} → ${dest}: ${fate === "recv" ? "arrived" : fate}`;
    parts.push(pressable(group, row, (one) => app.visitMessage(one), title));
  });
  dots.forEach((dot, i) => {
    const by = carrier(dot);
    const x = columns.x(by < 0 ? `dot ${i}` : `end ${by}`);
    parts.push(words(x, y(dot.name) + (dot.text === "✓" ? -4 : 4), dot.text, "dot", "middle"));
  });
  const height = top + lanes.length * step;
  return drawing(width, height, "messages between nodes", ...parts);
}
