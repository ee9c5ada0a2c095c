// What was clicked: a message with its JSON and what belongs to it, or an operation.
// Whatever a node sent is only ever put into the page as text.

const MOST_TEXT = 20000; // characters of a JSON value

class Details {
  constructor(app) {
    this.app = app;
    this.box = document.getElementById("details");
    this.clear();
  }

  clear() {
    this.box.replaceChildren(
      element("p", {
        className: "hint",
        textContent:
          "Click a message or an operation to read it. Zoom with the wheel, pan by dragging; " +
          "press ? for the keys.",
      }),
    );
  }

  link(text, act) {
    const button = element("button", { type: "button", className: "link", textContent: text });
    button.addEventListener("click", act);
    return button;
  }

  facts(pairs) {
    const list = element("dl");
    for (const [name, content] of pairs) {
      if (content === null || content === undefined) continue;
      list.append(element("dt", { textContent: name }), element("dd", {}, content));
    }
    return list;
  }

  async message(row) {
    const { run } = this.app;
    const { at, end, took, request, answer, copied } = run.messages;
    const text = await run.texts.get(row);
    if (this.app.view.message !== row) return; // something else has been clicked meanwhile
    const to = (other) =>
      other === NONE ? null : this.link(run.titleOf(other), () => this.app.pickMessage(other));
    const operation = run.operationOf.get(row) ?? run.operationOf.get(request[row]);
    const copies = copied[row] ? this.copies(row) : null;
    this.box.replaceChildren(
      element("h2", { textContent: run.type(row) }),
      element("p", { textContent: `${run.src(row)} → ${run.dest(row)}`, className: "way" }),
      this.facts([
        ["sent", `at ${moment(at[row])}`],
        [run.fate(row), took[row] === NONE ? "at the end" : `at ${moment(end[row])}, after ${duration(took[row])}`],
        ["duplicated", copies],
        ["answers", to(request[row])],
        ["answered by", to(answer[row])],
        ["for", operation === undefined ? null : this.operationLink(operation)],
      ]),
      this.json(text),
    );
  }

  copies(row) {
    const { copies, about } = this.app.run;
    const parts = [];
    copies["copy-row"].forEach((each, i) => {
      const fate = about.fates[copies["copy-fate"][i]];
      if (each === row) parts.push(`${fate} after ${duration(copies["copy-took"][i])}`);
    });
    return parts.join(", ");
  }

  operationLink(index) {
    return this.link(this.app.run.operationTitle(index), () => this.app.pickOperation(index));
  }

  async operation(index) {
    const { run } = this.app;
    const { at, end, took, f, process, message } = run.operations;
    const text = await run.operationTexts.get(index);
    if (this.app.view.operation !== index) return;
    const { asked, answered, error, extra, final } = JSON.parse(text);
    const row = message[index];
    this.box.replaceChildren(
      element("h2", { textContent: run.about.f[f[index]] }),
      element("p", { textContent: `process ${process[index]}`, className: "way" }),
      this.facts([
        ["invoked", `at ${moment(at[index])}${final ? ", a final operation" : ""}`],
        [
          run.outcome(index),
          took[index] === NONE ? "at the end" : `at ${moment(end[index])}, after ${duration(took[index])}`,
        ],
        ["request", row === NONE ? null : this.link(run.titleOf(row), () => this.app.pickMessage(row))],
      ]),
      ...Object.entries({ asked, answered, error, extra })
        .filter(([, value]) => value !== undefined)
        .flatMap(([name, value]) => [
          element("h3", { textContent: name }),
          this.json(value),
        ]),
    );
  }

  turn(number) {
    const { run } = this.app;
    const { at, end, took, place, message } = run.turns;
    const { node, function: name, line, text } = run.about.places[place[number]];
    const row = message[number];
    this.box.replaceChildren(
      element("h2", { textContent: "lost turn" }),
      element("p", { textContent: `a thread of ${node}`, className: "way" }),
      this.facts([
        ["lost", `at ${moment(at[number])}`],
        [
          "came back",
          took[number] === NONE ? "never" : `at ${moment(end[number])}, after ${duration(took[number])}`,
        ],
        ["for", row === NONE ? null : this.link(run.titleOf(row), () => this.app.pickMessage(row))],
        ["in", name],
        ["before", line],
      ]),
      element("pre", { textContent: text }),
    );
  }

  // A line of a log, with what stands around it.
  async logLine(logs, number, line) {
    const lines = await logs.of(number);
    const first = Math.max(0, line - 5);
    const pre = element("pre");
    lines.slice(first, line + 40).forEach((text, i) => {
      pre.append(first + i === line ? element("mark", { textContent: text }) : text, "\n");
    });
    this.box.replaceChildren(
      element("h2", { textContent: `log of ${logs.names[number]}` }),
      element("p", { textContent: `at ${moment(logs.times[number][line])}`, className: "way" }),
      pre,
    );
  }

  // A JSON text, laid out; its numbers and strings can be followed by a click.
  json(text) {
    const pre = element("pre");
    let room = MOST_TEXT;
    for (const [part, isScalar] of laidOut(text)) {
      room -= part.length;
      if (room < 0) {
        pre.append(` … ${text.length.toLocaleString("en")} characters in all`);
        break;
      }
      pre.append(isScalar ? this.scalar(part) : part);
    }
    return pre;
  }

  scalar(text) {
    const span = element("span", { className: "scalar", textContent: text, title: "follow" });
    span.addEventListener("click", () => this.app.followText(text));
    return span;
  }
}

// JSON with a field on each line, and lists of plain values on one: [text, is it a value?], one
// after the other. It works on the text as it was sent, so that no number is rounded.
function* laidOut(text) {
  const tokens = text.match(/"(?:[^"\\]|\\.)*"|[{}[\],:]|[^\s{}[\],:"]+/g) ?? [];
  const flat = []; // by depth: is everything in it on one line?
  const line = () => `\n${"  ".repeat(flat.filter((each) => !each).length)}`;
  for (let i = 0; i < tokens.length; i++) {
    const token = tokens[i];
    if (token === "{" || token === "[") {
      let end = i + 1;
      if (token === "[") while (end < tokens.length && !/^[{}[\]]$/.test(tokens[end])) end++;
      flat.push(/^[}\]]$/.test(tokens[end]));
      yield [token + (flat.at(-1) ? "" : line()), false];
    } else if (token === "}" || token === "]") {
      yield [(flat.pop() ? "" : line()) + token, false];
    } else if (token === ",") {
      yield [flat.at(-1) ? ", " : `,${line()}`, false];
    } else if (token === ":") {
      yield [": ", false];
    } else {
      yield [token, tokens[i + 1] !== ":"];
    }
  }
}
