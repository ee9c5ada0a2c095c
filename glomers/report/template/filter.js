// Which messages are shown: by type, node, fate and text.

class Filter {
  constructor(app) {
    this.app = app;
    this.version = 0;
    this.hidden = new Set(); // families
    this.node = "";
    this.fate = "";
    this.text = "";
    this.matches = null; // by row, or null if any text will do
    this.shown = new Uint8Array(app.run.messages.count).fill(1);
  }

  apply() {
    const { run } = this.app;
    const { family, fate, src, dest, copied, count } = run.messages;
    const node = this.node ? run.about.endpoints.indexOf(this.node) : NONE;
    const wanted = run.about.fates.indexOf(this.fate);
    const hidden = run.families.map((name) => this.hidden.has(name));
    for (let i = 0; i < count; i++) {
      this.shown[i] =
        !hidden[family[i]] &&
        (node === NONE || src[i] === node || dest[i] === node) &&
        (!this.fate || fate[i] === wanted || (this.fate === "duplicated" && copied[i])) &&
        (this.matches === null || this.matches[i])
          ? 1
          : 0;
    }
    this.version++;
    this.app.view.changed();
  }

  toggleFamily(name) {
    if (!this.hidden.delete(name)) this.hidden.add(name);
    this.apply();
  }

  toggleNode(name) {
    this.setNode(this.node === name ? "" : name);
  }

  setNode(name) {
    this.node = name;
    document.getElementById("node-filter").value = name;
    this.apply();
  }

  setFate(name) {
    this.fate = name;
    this.apply();
  }

  // Only messages in whose JSON a text stands. A later call overtakes an earlier one.
  async setText(text) {
    this.text = text;
    let matches = null;
    if (text) {
      await new Promise((go) => setTimeout(go, 100)); // somebody may be typing
      if (this.text !== text) return;
      matches = new Uint8Array(this.app.run.messages.count);
      await this.app.run.texts.each((line, row) => {
        if (line.includes(text)) matches[row] = 1;
      });
    }
    if (this.text !== text) return;
    this.matches = matches;
    this.apply();
  }

  get count() {
    return this.shown.reduce((a, b) => a + b, 0);
  }
}
