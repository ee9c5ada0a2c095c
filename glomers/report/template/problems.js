// What went wrong: each problem with its picture, and the way to what it is about.

const MOST_LINKS = 6; // of a kind

function showProblems(app) {
  const { problems } = app;
  const section = document.getElementById("problems");
  section.hidden = problems.length === 0;
  const grave = problems.some(({ level }) => level === "error");
  section.classList.toggle("mild", !grave);
  section.querySelector("h2 span").textContent = grave ? "What went wrong" : "Worth a look";
  const list = section.querySelector("ol");
  const drawn = problems.findIndex(({ picture }) => PICTURES.has(picture.form));
  problems.forEach((problem, i) => {
    const text = element("span", { textContent: problem.text });
    const item = element("li", { className: problem.level }, text);
    list.append(item);
    const link = (words, act) => item.append(" ", app.details.link(words, act));
    if (app.canJump(problem)) link("show", () => app.jump(i));
    if (app.messages) {
      for (const value of problem.values) {
        link(`follow ${JSON.stringify(value)}`, () => app.jump(i, value));
      }
    }
    item.append(...placesOf(app, problem));
    if (PICTURES.has(problem.picture.form)) item.append(pictureOf(app, problem, i === drawn));
  });
  const first = document.getElementById("first-problem");
  first.hidden = !problems.some((problem) => app.canJump(problem));
  first.addEventListener("click", () => app.jumpToFirst());
}

// A line of links for each: the messages, the operations and the nodes of a problem.
function placesOf(app, { messages, operations, nodes }) {
  const { run } = app;
  const line = (name, all, title, act) => {
    const links = all.slice(0, MOST_LINKS).map((one) => app.details.link(title(one), () => act(one)));
    const more = all.length > MOST_LINKS ? [`and ${all.length - MOST_LINKS} more`] : [];
    return element("div", { className: `places ${name}` }, `${name}:`, ...links, ...more);
  };
  const at = ({ at }, row) => `${moment(at[row])} `;
  return [
    messages.length &&
      line("messages", messages, (row) => at(run.messages, row) + run.titleOf(row), (row) => app.visitMessage(row)),
    operations.length &&
      line("operations", operations, (row) => at(run.operations, row) + run.operationTitle(row), (row) =>
        app.visitOperation(row),
      ),
    nodes.length && run.lanes.length && line("nodes", nodes, String, (node) => app.visitNode(node)),
  ].filter(Boolean);
}

// A picture is drawn when it is first opened, as wide as there is room.
function pictureOf(app, problem, open) {
  const box = element("details", { className: "picture" }, element("summary", { textContent: "picture" }));
  const draw = () => {
    if (box.children.length > 1) return;
    const width = Math.min(680, Math.max(260, box.clientWidth));
    box.append(PICTURES.get(problem.picture.form)(app, problem, width));
  };
  box.addEventListener("toggle", draw);
  box.open = open;
  return box;
}
