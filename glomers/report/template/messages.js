// The messages in space and time: a lane for each node and service, time to the right.
//
// Up to MOST_ARROWS messages in sight are arrows from sending to receipt. More of them are counted
// in bins of a few pixels, all of them: in each lane, what was received, by type; what never
// arrived hangs from above. The fine line above a lane is home to that node's clients.

const MOST_ARROWS = 2500;
const MOST_TURNS = 300; // lost ones in sight that have a mark each
const BIN = 2.5; // pixels, at least

class MessageTrack extends Track {
  constructor(app) {
    const lanes = Math.max(app.run.lanes.length, 1);
    const tall = Math.min(Math.max(Math.floor(620 / lanes), 22), 58);
    super(app, "messages", lanes * tall + 14);
    this.laneHeight = tall;
    this.rows = [];
    this.turns = []; // that have a mark of their own
  }

  // Where a lane's line is.
  y(lane) {
    return 14 + (lane + 0.66) * this.laneHeight;
  }

  yFrom(row) {
    const { messages: m, isClient } = this.app.run;
    return this.y(m.from[row]) - (isClient[m.src[row]] ? this.laneHeight * 0.5 : 0);
  }

  yTo(row) {
    const { messages: m, isClient } = this.app.run;
    return this.y(m.to[row]) - (isClient[m.dest[row]] ? this.laneHeight * 0.5 : 0);
  }

  drawLabels(context) {
    const { run, theme, filter } = this.app;
    context.textAlign = "right";
    run.lanes.forEach((name, lane) => {
      context.fillStyle = filter.node === name ? theme.colours.accent : theme.colours.ink;
      const text = name.length > 9 ? `${name.slice(0, 8)}…` : name;
      context.fillText(text, this.gutter - 8, this.y(lane));
    });
  }

  // The rows that are in sight and pass the filter. Those that are followed are never binned.
  visible() {
    const { run, view, filter, follow } = this.app;
    const rows = [];
    let count = 0;
    run.between(view.from, view.to, (row) => {
      if (!filter.shown[row] || (follow.active && !follow.carries[row])) return;
      count++;
      if (count <= MOST_ARROWS) rows.push(row);
    });
    return [rows, count];
  }

  paint(context) {
    const { view, follow } = this.app;
    this.drawShades(context);
    this.drawLanes(context);
    if (follow.active) this.drawKnowledge(context);
    const [rows, count] = this.visible();
    this.binned = count > MOST_ARROWS;
    this.rows = this.binned ? [] : rows;
    this.count = count;
    if (this.binned) this.drawBins(context);
    else {
      this.drawWork(context, rows);
      this.drawArrows(context, rows);
    }
    this.drawTurns(context);
    if (follow.active) this.drawFirsts(context);
    this.drawPicked(context);
    this.canvas.dataset.mode = this.binned ? "bins" : "arrows";
    this.canvas.dataset.count = count;
    this.canvas.setAttribute(
      "aria-label",
      `${count.toLocaleString("en")} messages from ${moment(view.from)} to ${moment(view.to)}`,
    );
  }

  // Background: faults, and the lanes' lines

  drawShades(context) {
    const { run, theme } = this.app;
    const { faults } = run.about;
    this.tags = [];
    const cuts = faults.filter((fault) => Object.keys(fault.cut).length);
    drawFaults(context, this, cuts, 0, this.height);
    for (const fault of cuts) this.drawSides(context, fault);
    for (const fault of faults) {
      const [left, right] = [this.x(fault.start), this.x(fault.end ?? run.end)];
      for (const node of fault.nodes) {
        const lane = run.lanes.indexOf(node);
        if (lane < 0) continue;
        this.drawFault(context, fault, lane, left, right);
      }
      if (!fault.nodes.length) {
        this.drawTag(context, `${fault.name}: ${fault.kind}`, left, right, 7);
      }
    }
  }

  // What hits one node: killed and paused ones are hatched, to different sides.
  drawFault(context, fault, lane, left, right) {
    const { theme } = this.app;
    const top = this.y(lane) - this.laneHeight * 0.62;
    const tall = this.laneHeight * 0.94;
    context.fillStyle = theme.colours.band;
    context.fillRect(left, top, right - left, tall);
    const slant = { kill: -1, pause: 1 }[fault.name];
    if (slant) {
      context.globalAlpha = fault.name === "kill" ? 0.45 : 0.28;
      context.fillStyle = theme.hatch(context, theme.colours.open, slant);
      context.fillRect(left, top, right - left, tall);
      context.globalAlpha = 1;
    }
    this.drawTag(context, fault.name, left, right, slant ? top + 7 : top + tall - 7);
  }

  // What a band is, where there is room for it: beside the tags of others at the same height.
  drawTag(context, text, left, right, y) {
    const wide = context.measureText(text).width;
    let x = Math.max(left, this.gutter) + 4;
    for (const tag of this.tags) {
      if (Math.abs(tag.y - y) < 11 && x < tag.x + tag.wide + 8 && tag.x < x + wide + 8) {
        x = tag.x + tag.wide + 8;
      }
    }
    if (wide > right - x || x > this.width) return;
    this.tags.push({ text, x, y, wide });
    context.textAlign = "left";
    context.fillStyle = this.app.theme.colours.soft;
    context.fillText(text, x, y);
  }

  // Nodes that hear each other in a partition have the same side, a bar along the lane.
  drawSides(context, fault) {
    const { run, theme } = this.app;
    const sides = [];
    const [left, right] = [this.x(fault.start), this.x(fault.end ?? run.end)];
    for (const [node, deaf] of Object.entries(fault.cut)) {
      const lane = run.lanes.indexOf(node);
      if (lane < 0) continue;
      const key = [...deaf].sort().join(" ");
      if (!sides.includes(key)) sides.push(key);
      const side = sides.indexOf(key);
      context.fillStyle = theme.family([1, 4, 2, 3, 5][side % 5]);
      context.globalAlpha = 0.22;
      context.fillRect(left, this.y(lane) - 5, right - left, 10);
      context.globalAlpha = 1;
    }
  }

  drawLanes(context) {
    const { run, theme } = this.app;
    context.fillStyle = theme.colours.line;
    run.lanes.forEach((_, lane) => {
      context.fillRect(this.gutter, Math.round(this.y(lane)), this.width, 1);
    });
  }

  // Bars: how long a node worked on a request, and how long it waited for an answer

  drawWork(context, rows) {
    const { run, theme } = this.app;
    const { at, end, request, from, to, src, type } = run.messages;
    const bars = [[], []];
    for (const row of rows) {
      const asked = request[row];
      if (asked === NONE) continue;
      if (run.nodes.length > from[row] && !run.isClient[src[row]]) {
        bars[0].push([end[asked], at[row], this.y(from[row])]);
      }
      if (!run.isClient[src[asked]]) bars[1].push([at[asked], end[row], this.y(to[row])]);
    }
    context.fillStyle = theme.colours.soft;
    context.globalAlpha = 0.35;
    for (const [start, stop, y] of bars[0]) {
      const left = this.x(start);
      const wide = this.x(stop) - left;
      if (wide >= 1) context.fillRect(left, y - 4, wide, 8);
    }
    context.globalAlpha = 0.7;
    context.strokeStyle = theme.colours.soft;
    context.setLineDash([2, 2]);
    context.beginPath();
    for (const [start, stop, y] of bars[1]) {
      const [left, right] = [this.x(start), this.x(stop)];
      if (right - left < 2) continue;
      context.moveTo(left, y + 6.5);
      context.lineTo(right, y + 6.5);
    }
    context.stroke();
    context.setLineDash([]);
    context.globalAlpha = 1;
  }

  // Arrows

  drawArrows(context, rows) {
    const { run, theme } = this.app;
    const { family, fate, request, copied } = run.messages;
    const fates = run.about.fates;
    const crowded = rows.length > 900;
    context.lineWidth = crowded ? 0.8 : 1.2;
    const kinds = Math.min(run.families.length, FAMILY_COLOURS.length);
    for (let number = 0; number < kinds; number++) {
      context.strokeStyle = context.fillStyle = theme.family(number);
      // Answers are paler than what they answer.
      for (const isAnswer of [false, true]) {
        const lines = new Path2D();
        const heads = new Path2D();
        let any = false;
        for (const row of rows) {
          if (Math.min(family[row], FAMILY_COLOURS.length - 1) !== number) continue;
          if ((request[row] !== NONE) !== isAnswer) continue;
          any = true;
          this.addArrow(lines, heads, row, fates[fate[row]], crowded);
        }
        if (!any) continue;
        context.globalAlpha = (isAnswer ? 0.55 : 1) * (crowded ? 0.6 : 0.9);
        context.stroke(lines);
        context.fill(heads);
      }
    }
    context.globalAlpha = 1;
    context.lineWidth = 1;
    this.drawFates(context, rows, crowded ? 3 : 4);
    this.drawCopies(context, rows.filter((row) => copied[row]));
  }

  // Where a message's line ends: short of its receiver if it never came there.
  tip(row) {
    const { at, end, fate } = this.app.run.messages;
    const share = this.app.run.about.fates[fate[row]] === "lost" ? 0.5 : 0.8;
    const arrives = this.app.arrives[fate[row]];
    const [y0, y1] = [this.yFrom(row), this.yTo(row)];
    const [x0, x1] = [this.x(at[row]), this.x(end[row])];
    // What is dropped as soon as it is sent gets a short line aslant, so that it can be seen.
    return arrives ? [x1, y1] : [Math.max(x1, x0 + 6), y0 + (y1 - y0) * share];
  }

  addArrow(lines, heads, row, fate, crowded) {
    const { at } = this.app.run.messages;
    const [x0, y0] = [this.x(at[row]), this.yFrom(row)];
    const [x1, y1] = this.tip(row);
    lines.moveTo(x0, y0);
    lines.lineTo(x1, y1);
    if (fate in FATE_MARKS && fate !== "late") return;
    const length = Math.hypot(x1 - x0, y1 - y0);
    if (crowded || length < 8) return;
    const [ux, uy] = [(x1 - x0) / length, (y1 - y0) / length];
    const size = Math.min(6, length / 3);
    heads.moveTo(x1, y1);
    heads.lineTo(x1 - ux * size - uy * size * 0.45, y1 - uy * size + ux * size * 0.45);
    heads.lineTo(x1 - ux * size + uy * size * 0.45, y1 - uy * size - ux * size * 0.45);
  }

  drawFates(context, rows, size) {
    const { run, theme } = this.app;
    const path = new Path2D();
    for (const row of rows) {
      const mark = FATE_MARKS[run.fate(row)];
      if (mark) MARKS[mark](path, ...this.tip(row), size);
    }
    context.strokeStyle = theme.colours.trouble;
    context.lineWidth = 1.6;
    context.stroke(path);
    context.lineWidth = 1;
  }

  // A message that came twice has a second, dotted line.
  drawCopies(context, rows) {
    if (!rows.length) return;
    const { run, theme } = this.app;
    const { at } = run.messages;
    const wanted = new Set(rows);
    context.strokeStyle = theme.colours.trouble;
    context.setLineDash([2, 3]);
    context.beginPath();
    run.copies["copy-row"].forEach((row, i) => {
      if (!wanted.has(row)) return;
      context.moveTo(this.x(at[row]), this.yFrom(row));
      context.lineTo(this.x(at[row] + run.copies["copy-took"][i]), this.yTo(row));
    });
    context.stroke();
    context.setLineDash([]);
  }

  // Lost turns: a mark on a node's line, from when a thread lost its turn until it had it back. Too
  // many of them would hide the rest, so that they are only a fine, pale line below it.

  drawTurns(context) {
    const { run, view, theme } = this.app;
    const { count, at, end, lane } = run.turns;
    this.turns = [];
    for (let i = 0; i < count && at[i] <= view.to; i++) {
      if (end[i] >= view.from && lane[i] >= 0) this.turns.push(i);
    }
    const crowded = this.turns.length > MOST_TURNS;
    const drawn = run.lanes.map(() => -Infinity); // by lane: up to which pixel
    context.fillStyle = theme.colours.trouble;
    context.globalAlpha = crowded ? 0.5 : 1;
    for (const i of this.turns) {
      const left = Math.round(this.x(at[i]));
      const right = Math.max(Math.round(this.x(end[i])), left + 2);
      const y = Math.round(this.y(lane[i]));
      if (!crowded) {
        context.fillRect(left, y - 1, right - left, 3);
        context.fillRect(left, y - 4, 1, 9);
        context.fillRect(right - 1, y - 4, 1, 9);
      } else if (right > drawn[lane[i]]) {
        const from = Math.max(left, drawn[lane[i]]);
        context.fillRect(from, Math.round(y + this.laneHeight * 0.3), right - from, 2);
        drawn[lane[i]] = right;
      }
    }
    context.globalAlpha = 1;
    if (crowded) this.turns = [];
  }

  // The shortest of the lost turns whose marks are at a place.
  turnAt(x, y) {
    const { at, end, lane } = this.app.run.turns;
    const here = this.laneAt(y);
    let [best, found] = [Infinity, NONE];
    if (Math.abs(y - this.y(here)) > 5) return found;
    for (const i of this.turns) {
      if (lane[i] !== here || this.x(at[i]) > x + 3 || this.x(end[i]) < x - 3) continue;
      if (end[i] - at[i] < best) [best, found] = [end[i] - at[i], i];
    }
    return found;
  }

  // Bins

  drawBins(context) {
    const { run, theme, view } = this.app;
    const wide = this.width - this.gutter;
    // Bins begin at multiples of their width, so that they don't flicker when the view is moved.
    const step = roundStep((view.span / wide) * BIN);
    const pixels = (step / view.span) * wide;
    const first = Math.floor(view.from / step);
    const bins = Math.ceil(view.to / step) - first + 1;
    const kinds = Math.min(run.families.length, FAMILY_COLOURS.length);
    const lanes = run.lanes.length;
    const counts = new Float32Array(lanes * bins * kinds);
    const failed = new Float32Array(lanes * bins);
    this.countInBins(counts, failed, step, first, bins, kinds);
    const sums = new Float32Array(lanes * bins);
    for (let i = 0; i < counts.length; i++) sums[(i / kinds) | 0] += counts[i];
    // A burst at the beginning would make all the rest look flat, so that it is cut off above.
    const most = quantileOf(sums.filter((sum) => sum), 0.98) || 1;
    this.bins = { counts, failed, step, first, bins, kinds };
    const room = this.laneHeight - 5;
    const scale = room / Math.sqrt(2 ** Math.ceil(Math.log2(most * 1.2)));
    for (let kind = 0; kind < kinds; kind++) {
      context.fillStyle = theme.family(kind);
      this.drawKind(context, kind, sums, scale, room);
    }
    context.fillStyle = theme.colours.trouble;
    for (let cell = 0; cell < failed.length; cell++) {
      if (!failed[cell]) continue;
      const top = this.y(Math.floor(cell / bins)) - this.laneHeight * 0.7 + 4;
      const tall = Math.min(2 + Math.sqrt(failed[cell]) * scale, this.laneHeight * 0.6);
      context.fillRect(this.x((first + (cell % bins)) * step), top, pixels - 0.5, tall);
    }
  }

  // The part of every bin that one family of types has. The families stand on each other.
  drawKind(context, kind, sums, scale, room) {
    const { counts, step, first, bins, kinds } = this.bins;
    const wide = this.x(step) - this.x(0) - 0.5;
    for (let cell = 0; cell < sums.length; cell++) {
      const count = counts[cell * kinds + kind];
      if (!count) continue;
      let below = 0;
      for (let other = 0; other < kind; other++) below += counts[cell * kinds + other];
      const share = Math.min(Math.sqrt(sums[cell]) * scale, room) / sums[cell];
      const bottom = this.y(Math.floor(cell / bins)) + this.laneHeight * 0.3;
      const x = this.x((first + (cell % bins)) * step);
      context.fillRect(x, bottom - (below + count) * share, wide, count * share);
    }
  }

  countInBins(counts, failed, step, first, bins, kinds) {
    const { run, view, filter, follow, arrives } = this.app;
    const { end, family, fate, to } = run.messages;
    run.between(view.from, view.to, (row) => {
      if (!filter.shown[row] || (follow.active && !follow.carries[row])) return;
      const bin = Math.floor(end[row] / step) - first;
      if (bin < 0 || bin >= bins) return;
      const cell = to[row] * bins + bin;
      if (arrives[fate[row]]) counts[cell * kinds + Math.min(family[row], kinds - 1)]++;
      else failed[cell]++;
    });
  }

  // A followed value: who has it, and since when

  drawKnowledge(context) {
    const { run, theme, follow } = this.app;
    context.fillStyle = theme.colours.accent;
    context.globalAlpha = 0.25;
    for (const [lane, row] of follow.firsts) {
      const left = this.x(run.messages.end[row]);
      context.fillRect(left, this.y(lane) - 3, Math.max(0, this.x(run.end) - left), 6);
    }
    context.globalAlpha = 1;
  }

  drawFirsts(context) {
    const { run, theme, follow } = this.app;
    context.textAlign = "left";
    for (const [lane, row] of follow.firsts) {
      const time = run.messages.end[row];
      const [x, y] = [this.x(time), this.y(lane)];
      context.fillStyle = theme.colours.accent;
      context.beginPath();
      MARKS.ring(context, x, y, 4);
      context.fill();
      const text = `+${duration(time - follow.start)}`;
      context.fillStyle = theme.colours.paper;
      context.globalAlpha = 0.8;
      context.fillRect(x + 6, y - 7, context.measureText(text).width + 4, 14);
      context.globalAlpha = 1;
      context.fillStyle = theme.colours.ink;
      context.fillText(text, x + 8, y);
    }
  }

  drawPicked(context) {
    const { run, view, theme } = this.app;
    const { request, answer } = run.messages;
    const picked = view.message;
    const rows = [[view.hovered.message, 2], [picked, 3]];
    if (picked !== NONE) rows.push([request[picked], 1.5], [answer[picked], 1.5]);
    for (const [row, width] of rows) {
      if (row === NONE) continue;
      context.strokeStyle = theme.colours.ink;
      context.lineWidth = width;
      const path = new Path2D();
      path.moveTo(this.x(run.messages.at[row]), this.yFrom(row));
      path.lineTo(...this.tip(row));
      context.stroke(path);
      context.beginPath();
      MARKS.ring(context, this.x(run.messages.at[row]), this.yFrom(row), 2.5);
      context.fillStyle = theme.colours.ink;
      context.fill();
    }
    context.lineWidth = 1;
  }

  // Pointing

  laneAt(y) {
    const lane = Math.floor((y - 14) / this.laneHeight + 0.06);
    return Math.min(Math.max(lane, 0), this.app.run.lanes.length - 1);
  }

  // The message whose arrow is nearest, if one is near.
  at(x, y) {
    let [best, found] = [8, NONE];
    for (const row of this.rows) {
      const x0 = this.x(this.app.run.messages.at[row]);
      const y0 = this.yFrom(row);
      const [x1, y1] = this.tip(row);
      const [dx, dy] = [x1 - x0, y1 - y0];
      const length = dx * dx + dy * dy;
      const share = length ? Math.min(1, Math.max(0, ((x - x0) * dx + (y - y0) * dy) / length)) : 0;
      const distance = Math.hypot(x - x0 - share * dx, y - y0 - share * dy);
      if (distance < best) [best, found] = [distance, row];
    }
    return found;
  }

  hover(x, y) {
    const { run, view } = this.app;
    const turn = this.turnAt(x, y);
    if (turn !== NONE) return run.turnTitle(turn);
    view.hovered.message = this.at(x, y);
    if (view.hovered.message !== NONE) return run.titleOf(view.hovered.message);
    const texts = [this.binned && this.bins ? this.binText(x, y) : "", this.faultText(x, y)];
    return texts.filter((text) => text).join("; ");
  }

  // The faults that hit a lane at a time.
  faultText(x, y) {
    const { run } = this.app;
    const time = this.time(x);
    const lane = run.lanes[this.laneAt(y)];
    const there = run.about.faults.filter(
      ({ start, end, nodes }) =>
        start <= time && time <= (end ?? run.end) && (!nodes.length || nodes.includes(lane)),
    );
    return there.map(({ name, kind }) => `${name}: ${kind}`).join(", ");
  }

  binText(x, y) {
    const { run } = this.app;
    const { counts, failed, step, first, bins, kinds } = this.bins;
    const lane = this.laneAt(y);
    const bin = Math.floor(this.time(x) / step) - first;
    if (bin < 0 || bin >= bins) return "";
    const cell = lane * bins + bin;
    const parts = [];
    for (let kind = 0; kind < kinds; kind++) {
      const count = counts[cell * kinds + kind];
      if (count) parts.push(`${count.toLocaleString("en")} ${run.families[kind]}`);
    }
    if (failed[cell]) parts.push(`${failed[cell]} that never arrived`);
    const what = parts.length ? parts.join(", ") : "nothing";
    return `${run.lanes[lane]} in ${duration(Math.round(step))}: ${what}`;
  }

  click(x, y) {
    const { app } = this;
    const turn = this.turnAt(x, y);
    if (x < this.gutter) app.filter.toggleNode(app.run.lanes[this.laneAt(y)]);
    else if (turn !== NONE) app.pickTurn(turn);
    else if (this.binned) app.view.zoom(0.25, this.time(x));
    else app.pickMessage(this.at(x, y));
  }
}
