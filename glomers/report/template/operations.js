// The operations: a lane for each process, latencies as dots, rates, and how long values took to
// be stable. What falls onto the same pixel is drawn once, so that any number of them is fast.

const MARKED = 10; // pixels: a bar as wide as that has the mark of its outcome
const OUTCOME_MARKS = { fail: "cross", info: "triangle", open: "ring" };

class ProcessTrack extends Track {
  constructor(app) {
    const lanes = Math.max(app.run.operationLanes, 1);
    const tall = Math.min(Math.max(Math.floor(180 / lanes), 5), 14);
    super(app, "processes", lanes * tall + 6);
    this.laneHeight = tall;
  }

  y(lane) {
    return 3 + lane * this.laneHeight;
  }

  paint(context) {
    const { run, view, theme } = this.app;
    const { at, end, lane, outcome, count } = run.operations;
    const outcomes = run.about.outcomes;
    const colours = outcomes.map((name) => theme.colours[name]);
    // By outcome and lane: the last pixel that is drawn already.
    const drawn = outcomes.map(() => new Float64Array(run.operationLanes).fill(-1));
    const tall = this.laneHeight - 1.5;
    const marks = new Path2D();
    // An operation that is still open may have begun long before what is in sight.
    for (let i = 0; i < count && at[i] <= view.to; i++) {
      if (end[i] < view.from) continue;
      const left = Math.max(this.x(at[i]), this.gutter - 2);
      const right = Math.min(this.x(end[i]), this.width + 2);
      const last = drawn[outcome[i]];
      if (right <= last[lane[i]] + 0.5) continue;
      last[lane[i]] = Math.max(right, left + 1.5);
      context.fillStyle = colours[outcome[i]];
      context.fillRect(left, this.y(lane[i]), Math.max(right - left, 1.5), tall);
      const mark = OUTCOME_MARKS[outcomes[outcome[i]]];
      if (!mark || right - left < MARKED) continue;
      MARKS[mark](marks, (left + right) / 2, this.y(lane[i]) + tall / 2, Math.min(3, tall / 3));
    }
    context.strokeStyle = theme.colours.ink;
    context.stroke(marks);
    for (const index of [view.hovered.operation, view.operation]) {
      if (index === NONE) continue;
      context.strokeStyle = theme.colours.ink;
      context.lineWidth = 2;
      const left = this.x(at[index]);
      const wide = Math.max(this.x(end[index]) - left, 3);
      context.strokeRect(left - 1, this.y(lane[index]) - 1, wide + 2, tall + 2);
      context.lineWidth = 1;
    }
  }

  at(x, y) {
    const { run, view } = this.app;
    const { at, end, lane, count } = run.operations;
    const wanted = Math.floor((y - 3) / this.laneHeight);
    let [best, found] = [6, NONE];
    for (let i = 0; i < count && at[i] <= view.to; i++) {
      if (lane[i] !== wanted || end[i] < view.from) continue;
      const [left, right] = [this.x(at[i]), this.x(end[i])];
      const distance = x < left ? left - x : x > right ? x - right : 0;
      if (distance < best) [best, found] = [distance, i];
    }
    return found;
  }

  hover(x, y) {
    const { run, view } = this.app;
    const index = (view.hovered.operation = this.at(x, y));
    return index === NONE ? "" : run.operationTitle(index);
  }

  click(x, y) {
    this.app.pickOperation(this.at(x, y));
  }
}

// Dots over time on a logarithmic scale of milliseconds; 0 has a line of its own at the bottom.
class DotTrack extends Track {
  constructor(app, title, height) {
    super(app, title, height);
    this.low = Infinity;
    this.high = 1;
  }

  // To be called by subclasses with every value (milliseconds) that there is.
  reckon(value) {
    if (value > 0) this.low = Math.min(this.low, value);
    this.high = Math.max(this.high, value);
  }

  settle() {
    this.low = 10 ** Math.floor(Math.log10(Math.min(this.low, this.high / 10)));
    this.low = Math.max(this.low, this.high / 1e5);
    this.high = 10 ** Math.ceil(Math.log10(this.high));
  }

  y(value) {
    const room = this.height - 30;
    if (value <= 0) return this.height - 6;
    const share = Math.max(0, Math.log(value / this.low) / Math.log(this.high / this.low));
    return this.height - 22 - share * room;
  }

  drawLabels(context) {
    super.drawLabels(context);
    context.textAlign = "right";
    const decades = Math.log10(this.high / this.low);
    for (let v = this.low; v <= this.high * 1.001; v *= decades > 4 ? 100 : 10) {
      const y = this.y(v);
      if (y > 17) context.fillText(duration(Math.round(v * 1000)), this.gutter - 8, y);
    }
    context.fillText("0 ms", this.gutter - 8, this.height - 6);
  }

  drawGrid(context) {
    super.drawGrid(context);
    context.fillStyle = this.app.theme.colours.line;
    for (let v = this.low; v <= this.high * 1.001; v *= 10) {
      context.fillRect(this.gutter, Math.round(this.y(v)), this.width, 1);
    }
  }

  // Dots of some points, each once for a pixel. `eachPoint` calls what it is given with x and y.
  dots(context, eachPoint, colour, mark) {
    const seen = new Uint8Array(Math.ceil(this.width + 1) * Math.ceil(this.height + 1));
    const wide = Math.ceil(this.width + 1);
    const path = new Path2D();
    context.fillStyle = context.strokeStyle = colour;
    eachPoint((x, y) => {
      if (x < this.gutter - 3 || x > this.width) return;
      const pixel = Math.round(y) * wide + Math.round(x);
      if (seen[pixel]) return;
      seen[pixel] = 1;
      if (mark) MARKS[mark](path, x, y, 3);
      else context.fillRect(x - 1.25, y - 1.25, 2.5, 2.5);
    });
    context.lineWidth = 1.4;
    context.stroke(path);
    context.lineWidth = 1;
  }
}

class LatencyTrack extends DotTrack {
  constructor(app) {
    super(app, "latency", 120);
    const { took, count } = app.run.operations;
    for (let i = 0; i < count; i++) this.reckon(took[i] / 1000);
    this.settle();
    this.lines = this.quantiles();
  }

  // The median and the 99 % of a hundred stretches of the run.
  quantiles() {
    const { run } = this.app;
    const { end, took, count } = run.operations;
    const step = (run.end - run.start) / 100;
    const stretches = Array.from({ length: 101 }, () => []);
    for (let i = 0; i < count; i++) {
      if (took[i] === NONE) continue;
      stretches[Math.floor((end[i] - run.start) / step)]?.push(took[i] / 1000);
    }
    return [0.5, 0.99].map((q) =>
      stretches.map((values, k) => {
        if (!values.length) return null;
        return [run.start + (k + 0.5) * step, quantileOf(Float64Array.from(values), q)];
      }),
    );
  }

  eachPoint(outcome, visit) {
    const { run, view } = this.app;
    const { end, took, at, outcome: outcomes, count } = run.operations;
    for (let i = 0; i < count && at[i] <= view.to; i++) {
      if (outcomes[i] !== outcome || end[i] < view.from) continue;
      const latency = took[i] === NONE ? end[i] - at[i] : took[i];
      visit(this.x(end[i]), this.y(latency / 1000));
    }
  }

  paint(context) {
    const { run, view, theme } = this.app;
    run.about.outcomes.forEach((name, outcome) => {
      const points = (visit) => this.eachPoint(outcome, visit);
      this.dots(context, points, theme.colours[name], OUTCOME_MARKS[name]);
    });
    context.lineWidth = 1.5;
    context.strokeStyle = theme.colours.ink;
    this.lines.forEach((line, i) => {
      context.globalAlpha = i ? 0.35 : 0.7;
      context.beginPath();
      let open = false;
      for (const point of line) {
        if (point) context[open ? "lineTo" : "moveTo"](this.x(point[0]), this.y(point[1]));
        open = point !== null;
      }
      context.stroke();
    });
    context.globalAlpha = 1;
    context.lineWidth = 1;
    context.fillStyle = theme.colours.soft;
    context.textAlign = "right";
    context.fillText("lines: median and 99 %", this.width - 6, this.height - 15);
    for (const index of [view.hovered.operation, view.operation]) {
      if (index === NONE) continue;
      context.strokeStyle = theme.colours.ink;
      context.beginPath();
      const { end, took } = run.operations;
      MARKS.ring(context, this.x(end[index]), this.y(took[index] / 1000), 5);
      context.stroke();
    }
  }

  at(x, y) {
    const { run, view } = this.app;
    const { at, end, took, count } = run.operations;
    let [best, found] = [9, NONE];
    for (let i = 0; i < count && at[i] <= view.to; i++) {
      if (end[i] < view.from) continue;
      const distance = Math.hypot(this.x(end[i]) - x, this.y(took[i] / 1000) - y);
      if (distance < best) [best, found] = [distance, i];
    }
    return found;
  }
}
LatencyTrack.prototype.hover = ProcessTrack.prototype.hover;
LatencyTrack.prototype.click = ProcessTrack.prototype.click;

// How many operations ended in a second, by outcome.
class RateTrack extends Track {
  constructor(app) {
    super(app, "operations\na second", 64);
  }

  paint(context) {
    const { run, view, theme } = this.app;
    const { at, end, took, outcome, count } = run.operations;
    const wide = this.width - this.gutter;
    const step = roundStep(Math.max((view.span / wide) * 8, 1e4));
    const first = Math.floor(view.from / step);
    const bins = Math.ceil(view.to / step) - first + 1;
    const sums = run.about.outcomes.map(() => new Float64Array(bins));
    for (let i = 0; i < count && at[i] <= view.to; i++) {
      const bin = Math.floor(end[i] / step) - first;
      if (took[i] !== NONE && bin >= 0 && bin < bins) sums[outcome[i]][bin]++;
    }
    const scale = 1e6 / step;
    const most = sums.reduce((a, sum) => Math.max(a, ...sum), 0) * scale || 1;
    this.top = roundStep(most);
    this.sums = { sums, step, first, scale };
    sums.forEach((sum, i) => {
      if (!sum.some((n) => n)) return;
      context.strokeStyle = theme.colours[run.about.outcomes[i]];
      context.lineWidth = 1.5;
      context.beginPath();
      sum.forEach((n, bin) => {
        const y = this.height - 4 - ((n * scale) / this.top) * (this.height - 12);
        context.lineTo(this.x((first + bin) * step), y);
        context.lineTo(this.x((first + bin + 1) * step), y);
      });
      context.stroke();
    });
    context.lineWidth = 1;
    context.fillStyle = theme.colours.soft;
    context.textAlign = "left";
    context.fillText(`${this.top.toLocaleString("en")}/s`, this.gutter + 4, 9);
  }

  hover(x) {
    if (!this.sums) return "";
    const { sums, step, first, scale } = this.sums;
    const bin = Math.floor(this.time(x) / step) - first;
    const parts = this.app.run.about.outcomes
      .map((name, i) => [sums[i][bin], name])
      .filter(([n]) => n)
      .map(([n, name]) => `${Math.round(n * scale).toLocaleString("en")} ${name}`);
    return parts.length ? `${parts.join(", ")} per second` : "";
  }
}

// For each value of a set, at the time when it was known: how long until every read showed it.
class StableTrack extends DotTrack {
  constructor(app) {
    super(app, "stable after", 100);
    for (const latency of app.run.stable.latency) this.reckon(latency);
    this.settle();
  }

  eachPoint(visit) {
    const { known, latency } = this.app.run.stable;
    for (let i = 0; i < known.length; i++) visit(this.x(known[i]), this.y(latency[i]), i);
  }

  paint(context) {
    this.dots(context, (visit) => this.eachPoint(visit), this.app.theme.colours.ok);
  }

  at(x, y) {
    let [best, found] = [9, NONE];
    this.eachPoint((px, py, i) => {
      const distance = Math.hypot(px - x, py - y);
      if (distance < best) [best, found] = [distance, i];
    });
    return found;
  }

  hover(x, y) {
    const found = this.at(x, y);
    if (found === NONE) return "";
    const { about, stable } = this.app.run;
    const value = JSON.stringify(about.stable[found]);
    return `value ${value}: stable after ${stable.latency[found]} ms; a click follows it`;
  }

  click(x, y) {
    const found = this.at(x, y);
    if (found !== NONE) this.app.followValue(this.app.run.about.stable[found]);
  }
}
