// Everything beside the tracks: verdict, figures, quantiles, the command, logs, keys.

const VERDICTS = { true: ["✓", "valid"], false: ["✗", "invalid"], unknown: ["?", "unknown"] };

function showTop(app) {
  const { about } = app.run;
  const [mark, word] = VERDICTS[about.verdict];
  const verdict = document.getElementById("verdict");
  verdict.className = word;
  verdict.append(
    element("span", { className: "mark", textContent: mark, ariaHidden: "true" }),
    element("strong", { textContent: word }),
    element("span", { textContent: about.lastLine, className: "last-line" }),
  );
  const count = (number, what) => `${number.toLocaleString("en")} ${what}`;
  document.getElementById("subject").textContent = [
    about.workload,
    about.folder,
    count(app.run.nodes.length, app.run.nodes.length === 1 ? "node" : "nodes"),
    count(app.run.operations.count, "operations"),
    count(app.run.messages.count, "messages"),
    `${(app.run.end / 1e6).toFixed(1)} s`,
  ].join(" · ");
  document.title = `${mark} ${about.workload} · ${about.folder}`;
  showFigures(about.rows);
  showQuantiles(app.run);
  if (about.command) {
    const again = document.getElementById("again");
    again.hidden = false;
    again.querySelector("code").textContent = about.command;
    again.querySelector("button").addEventListener("click", () => {
      navigator.clipboard?.writeText(about.command);
    });
  }
  if (about.story.length) {
    const story = document.getElementById("story");
    story.hidden = false;
    story.querySelector("pre").textContent = about.story.join("\n");
  }
  showLogs(app.run.logs);
}

function showFigures(rows) {
  const table = document.getElementById("figures");
  table.parentElement.hidden = rows.length === 0;
  for (const { figure, value, remark, target, reached } of rows) {
    const row = table.insertRow();
    row.append(element("th", { textContent: figure, scope: "row" }));
    row.append(element("td", { textContent: value, className: "number" }));
    const words = element("td", { className: "remark" });
    if (reached !== null) {
      words.append(
        `target ${target} `,
        element("span", {
          className: reached ? "reached" : "missed",
          textContent: reached ? "✓ reached" : "✗ missed",
        }),
        remark ? " · " : "",
      );
    }
    words.append(remark);
    row.append(words);
  }
}

// For each kind of operation the quantiles of the latencies of those that ended well.
function showQuantiles(run) {
  const { f, took, outcome, count } = run.operations;
  const table = document.getElementById("quantiles");
  const ok = run.about.outcomes.indexOf("ok");
  const head = table.createTHead().insertRow();
  for (const name of ["ms", "50 %", "95 %", "99 %", "max", "ok"]) {
    head.append(element("th", { textContent: name, scope: "col" }));
  }
  const body = table.createTBody();
  run.about.f.forEach((name, number) => {
    const latencies = [];
    for (let i = 0; i < count; i++) {
      if (f[i] === number && outcome[i] === ok) latencies.push(took[i] / 1000);
    }
    const sorted = Float64Array.from(latencies);
    const row = body.insertRow();
    row.append(element("th", { textContent: name, scope: "row" }));
    for (const q of [0.5, 0.95, 0.99, 1]) {
      const value = quantileOf(sorted, q);
      const text = value === undefined ? "" : String(+value.toPrecision(3));
      row.append(element("td", { textContent: text, className: "number" }));
    }
    const text = latencies.length.toLocaleString("en");
    row.append(element("td", { textContent: text, className: "number" }));
  });
}

const KEYS = [
  ["← →", "move by a quarter of what is shown"],
  ["+ −", "zoom in and out"],
  ["Home", "the whole run"],
  ["j", "jump to the first problem; again: to the next"],
  [", .", "the message before, the message after the one that is picked"],
  ["r", "what the picked message answers"],
  ["a", "what answered it"],
  ["o", "the operation that it is for"],
  ["/", "search in messages"],
  ["f", "follow a value"],
  ["Esc", "let go of what is picked, followed and filtered"],
  ["?", "this list"],
];

function showKeys() {
  const list = document.querySelector("#keys dl");
  for (const [key, text] of KEYS) {
    list.append(element("dt", {}, element("kbd", { textContent: key })));
    list.append(element("dd", { textContent: text }));
  }
}
