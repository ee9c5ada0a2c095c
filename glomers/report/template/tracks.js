// A track is a canvas that shows something over the time that all tracks share.

class Track {
  constructor(app, title, height) {
    this.app = app;
    this.title = title;
    this.height = height;
    this.width = 0; // measured before each drawing, for asking the browser takes long
    this.canvas = element("canvas", { tabIndex: 0 });
    this.canvas.setAttribute("role", "img");
    this.canvas.setAttribute("aria-label", title);
    this.context = this.canvas.getContext("2d");
    this.box = element("div", { className: "track" }, this.canvas);
    new Gestures(this);
    new ResizeObserver(() => app.view.changed()).observe(this.box);
  }

  // Pixels from the left that labels take.
  get gutter() {
    return this.app.gutter;
  }

  x(time) {
    const { view } = this.app;
    return this.gutter + ((time - view.from) / view.span) * (this.width - this.gutter);
  }

  time(x) {
    const { view } = this.app;
    return view.from + ((x - this.gutter) / (this.width - this.gutter)) * view.span;
  }

  draw() {
    const ratio = devicePixelRatio || 1;
    this.width = this.box.clientWidth;
    const { canvas, context, width, height } = this;
    const [w, h] = [Math.round(width * ratio), Math.round(height * ratio)];
    if (canvas.width !== w || canvas.height !== h) {
      canvas.width = w;
      canvas.height = h;
      canvas.style.height = `${height}px`;
    }
    context.setTransform(ratio, 0, 0, ratio, 0, 0);
    context.clearRect(0, 0, width, height);
    context.font = "11px system-ui, sans-serif";
    context.textBaseline = "middle";
    this.drawLabels(context);
    context.save();
    context.beginPath();
    context.rect(this.gutter, 0, width - this.gutter, height);
    context.clip();
    this.drawGrid(context);
    this.paint(context);
    this.drawCursor(context);
    context.restore();
  }

  drawLabels(context) {
    context.fillStyle = this.app.theme.colours.soft;
    context.textAlign = "left";
    this.title.split("\n").forEach((line, i) => context.fillText(line, 0, 9 + 13 * i));
  }

  drawGrid(context) {
    context.fillStyle = this.app.theme.colours.line;
    for (const time of this.ticks()) context.fillRect(Math.round(this.x(time)), 0, 1, this.height);
  }

  ticks() {
    const { view } = this.app;
    const step = roundStep((view.span / Math.max(this.width - this.gutter, 1)) * 90);
    const times = [];
    for (let k = Math.ceil(view.from / step); k * step <= view.to; k++) times.push(k * step);
    return times;
  }

  drawCursor(context) {
    const { view, theme } = this.app;
    if (view.cursor === null) return;
    context.fillStyle = theme.colours.accent;
    context.fillRect(Math.round(this.x(view.cursor)), 0, 1, this.height);
  }

  paint() {}
  hover() {}
  click() {}
}

// Wheel, drag, pinch and double click on a track. The wheel over its labels scrolls the page.
class Gestures {
  constructor(track) {
    this.track = track;
    this.pointers = new Map();
    const { canvas } = track;
    const on = (name, act, options) => canvas.addEventListener(name, act.bind(this), options);
    on("wheel", this.wheel, { passive: false });
    on("pointerdown", this.down);
    on("pointermove", this.move);
    on("pointerup", this.up);
    on("pointercancel", this.up);
    on("pointerleave", this.leave);
    on("dblclick", (event) => {
      this.track.app.view.zoom(0.25, this.track.time(event.offsetX));
    });
  }

  get view() {
    return this.track.app.view;
  }

  wheel(event) {
    if (event.offsetX < this.track.gutter || event.ctrlKey) return;
    event.preventDefault();
    const scale = event.deltaMode === 1 ? 30 : 1;
    if (Math.abs(event.deltaX) > Math.abs(event.deltaY) || event.shiftKey) {
      const distance = (event.deltaX || event.deltaY) * scale;
      this.view.pan(distance / (this.track.width - this.track.gutter));
    } else {
      const step = Math.max(-240, Math.min(240, event.deltaY * scale));
      this.view.zoom(1.0025 ** step, this.track.time(event.offsetX));
    }
  }

  down(event) {
    this.pointers.set(event.pointerId, event);
    this.began = event;
    this.moved = false;
    this.track.canvas.setPointerCapture(event.pointerId);
  }

  move(event) {
    const before = this.pointers.get(event.pointerId);
    if (!before) {
      this.track.app.pointAt(this.track, event.offsetX, event.offsetY);
      return;
    }
    this.pointers.set(event.pointerId, event);
    if (Math.abs(event.offsetX - this.began.offsetX) > 4) this.moved = true;
    if (this.pointers.size === 2) this.pinch(before, event);
    else if (this.moved) this.drag(before, event);
  }

  drag(before, event) {
    const shift = before.offsetX - event.offsetX;
    this.view.pan(shift / (this.track.width - this.track.gutter));
  }

  pinch(before, event) {
    const other = [...this.pointers.values()].find((each) => each.pointerId !== event.pointerId);
    const was = Math.max(10, Math.abs(before.offsetX - other.offsetX));
    const is = Math.max(10, Math.abs(event.offsetX - other.offsetX));
    this.moved = true;
    this.view.zoom(was / is, this.track.time((event.offsetX + other.offsetX) / 2));
  }

  up(event) {
    this.pointers.delete(event.pointerId);
    if (event.type === "pointerup" && !this.moved) {
      this.track.click(event.offsetX, event.offsetY);
    }
  }

  leave() {
    this.track.app.pointAt(null);
  }
}

// The time axis: seconds since the load began.
class Axis extends Track {
  constructor(app) {
    super(app, "seconds", 22);
    this.box.classList.add("axis");
  }

  paint(context) {
    const { view, theme } = this.app;
    context.fillStyle = theme.colours.ink;
    context.textAlign = "center";
    const times = this.ticks();
    const step = times.length > 1 ? times[1] - times[0] : 1e6;
    const digits = Math.max(0, Math.ceil(6 - Math.log10(step) - 1e-9));
    for (const time of times) {
      const [x, text] = [this.x(time), (time / 1e6).toFixed(digits)];
      const half = context.measureText(text).width / 2;
      if (x - half >= this.gutter && x + half <= this.width) context.fillText(text, x, 11);
    }
    if (view.cursor >= view.from && view.cursor <= view.to && view.cursor !== null) {
      const text = moment(view.cursor, view.span);
      const half = context.measureText(text).width / 2 + 4;
      const x = Math.min(Math.max(this.x(view.cursor), this.gutter + half), this.width - half);
      context.fillStyle = theme.colours.accent;
      context.fillRect(x - half, 2, 2 * half, 18);
      context.fillStyle = theme.colours.paper;
      context.fillText(text, x, 11);
    }
  }
}

// The whole run, small: how many messages there were, where faults and problems are, and the
// part that is shown. Drag over it to show another part.
class Overview extends Track {
  constructor(app) {
    super(app, "whole run", 40);
    this.box.classList.add("overview");
  }

  get edges() {
    const { view } = this.app;
    return [view.first, view.last];
  }

  x(time) {
    const [first, last] = this.edges;
    return this.gutter + ((time - first) / (last - first)) * (this.width - this.gutter);
  }

  time(x) {
    const [first, last] = this.edges;
    return first + ((x - this.gutter) / (this.width - this.gutter)) * (last - first);
  }

  drawGrid() {}

  counts(width) {
    if (this.counted?.length !== width || this.version !== this.app.filter.version) {
      const { run, filter } = this.app;
      const counts = (this.counted = new Float64Array(width));
      const source = run.messages.count ? run.messages : run.operations;
      this.version = filter.version;
      for (let i = 0; i < source.count; i++) {
        if (source === run.messages && !filter.shown[i]) continue;
        const x = Math.floor(this.x(source.at[i]) - this.gutter);
        if (x >= 0 && x < width) counts[x]++;
      }
      this.most = counts.reduce((a, b) => Math.max(a, b), 1);
    }
    return this.counted;
  }

  paint(context) {
    const { view, theme, run, problems } = this.app;
    const width = Math.max(1, Math.floor(this.width - this.gutter));
    drawFaults(context, this, run.about.faults, 0, this.height);
    context.fillStyle = theme.colours.soft;
    this.counts(width).forEach((count, x) => {
      const tall = Math.sqrt(count / this.most) * (this.height - 8);
      if (count) context.fillRect(this.gutter + x, this.height - tall, 1, tall);
    });
    context.fillStyle = theme.colours.trouble;
    context.beginPath();
    for (const { time } of problems) if (time !== null) MARKS.triangle(context, this.x(time), 5, 4);
    context.fill();
    const [left, right] = [this.x(view.from), this.x(view.to)];
    context.fillStyle = theme.colours.paper;
    context.globalAlpha = 0.65;
    context.fillRect(this.gutter, 0, left - this.gutter, this.height);
    context.fillRect(right, 0, this.width - right, this.height);
    context.globalAlpha = 1;
    context.strokeStyle = theme.colours.accent;
    context.strokeRect(left + 0.5, 0.5, Math.max(2, right - left - 1), this.height - 1);
  }

  click(x) {
    const { view } = this.app;
    const time = this.time(x);
    view.show(time - view.span / 2, time + view.span / 2);
  }
}

// Partitions as hatched bands over the whole height, what hits single nodes as a strip above.
function drawFaults(context, track, faults, top, height) {
  const { theme, run } = track.app;
  for (const fault of faults) {
    const left = track.x(fault.start);
    const right = track.x(fault.end ?? run.end);
    if (right < track.gutter || left > track.width) continue;
    const cuts = Object.keys(fault.cut).length > 0;
    context.fillStyle = theme.colours.band;
    context.fillRect(left, top, right - left, cuts ? height : 6);
    if (cuts) {
      context.fillStyle = theme.hatch(context, theme.colours.band);
      context.fillRect(left, top, right - left, height);
    }
  }
}
