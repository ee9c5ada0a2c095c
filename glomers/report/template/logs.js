// What nodes printed to standard error: their lines below, and a mark for each on the time axis.

class Logs {
  constructor(names) {
    this.names = names;
    this.lines = names.map(() => null);
  }

  async load() {
    this.times = await Promise.all(this.names.map((_, i) => unpackMoments(`log-time-${i}`)));
    this.timed = this.times.some((times) => times.some((time) => !Number.isNaN(time)));
    return this;
  }

  // The lines of a log; unpacked when they are first asked for.
  async of(number) {
    this.lines[number] ??= unpackText(`log-${number}`).then((text) => text.split("\n"));
    return this.lines[number];
  }

  // A log as text, each line after its time.
  async text(number) {
    const times = this.times[number];
    const lines = await this.of(number);
    if (!this.timed) return lines.join("\n");
    const stamp = (time) => (Number.isNaN(time) ? "" : moment(time)).padStart(12);
    return lines.map((line, i) => `${stamp(times[i])}  ${line}`).join("\n");
  }
}

class LogTrack extends Track {
  constructor(app, logs) {
    const tall = Math.min(Math.max(Math.floor(120 / logs.names.length), 6), 16);
    super(app, "logs", logs.names.length * tall + 6);
    this.logs = logs;
    this.laneHeight = tall;
  }

  drawLabels(context) {
    super.drawLabels(context);
    if (this.laneHeight < 10) return;
    context.textAlign = "right";
    this.logs.names.forEach((name, lane) => {
      context.fillText(name.slice(0, 9), this.gutter - 8, 3 + (lane + 0.5) * this.laneHeight);
    });
  }

  paint(context) {
    context.fillStyle = this.app.theme.colours.purple;
    this.logs.times.forEach((times, lane) => {
      let last = -1;
      for (const time of times) {
        const x = Math.round(this.x(time));
        if (Number.isNaN(time) || x === last || x < this.gutter - 2 || x > this.width) continue;
        context.fillRect(x - 1, 4 + lane * this.laneHeight, 2, this.laneHeight - 2);
        last = x;
      }
    });
  }

  // The log and the number of the line that is nearest.
  at(x, y) {
    const lane = Math.floor((y - 3) / this.laneHeight);
    let [best, found] = [6, NONE];
    this.logs.times[lane]?.forEach((time, line) => {
      const distance = Math.abs(this.x(time) - x);
      if (distance < best) [best, found] = [distance, line];
    });
    return [lane, found];
  }

  hover(x, y) {
    const [lane, line] = this.at(x, y);
    if (line === NONE) return "";
    return `${this.logs.names[lane]}, line ${line + 1}; a click shows it`;
  }

  async click(x, y) {
    const [lane, line] = this.at(x, y);
    if (line !== NONE) this.app.details.logLine(this.logs, lane, line);
  }
}

function showLogs(logs) {
  if (!logs.names.length) return;
  const section = document.getElementById("logs");
  section.hidden = false;
  logs.names.forEach((name, number) => {
    const pre = element("pre", { tabIndex: 0 });
    const box = element("details", {}, element("summary", { textContent: name }), pre);
    box.addEventListener("toggle", async () => {
      if (box.open && !pre.textContent) pre.textContent = await logs.text(number);
    });
    section.append(box);
  });
}
