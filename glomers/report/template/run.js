// The run: messages and operations in columns, and what belongs together. Times: microseconds.

const NONE = -1;
const BLOCK = 256; // messages for which the index has one latest end

// Names such as n2 and n10 in the order of their numbers.
function byNumber(a, b) {
  return a.localeCompare(b, "en", { numeric: true });
}

// A name that a node has made up, without what is invisible or turns the text after it around.
function printable(name) {
  const code = (sign) => `\\u{${sign.codePointAt(0).toString(16)}}`;
  return name.replace(/[\p{Cc}\p{Cf}\p{Cs}\p{Zl}\p{Zp}]/gu, code);
}

class Run {
  static async load() {
    const run = new Run();
    const about = (run.about = JSON.parse(await unpackText("about")));
    about.types = about.types.map(printable);
    about.endpoints = about.endpoints.map(printable);
    const columns = async (kind, names) => {
      const all = await Promise.all(names.map((name) => unpackColumn(`${kind}-${name}`)));
      return Object.fromEntries(names.map((name, i) => [name, all[i]]));
    };
    run.messages = await columns("message", ["at", "took", "src", "dest", "type", "fate", "request"]);
    run.copies = await columns("message", ["copy-row", "copy-took", "copy-fate"]);
    run.operations = await columns("operation", ["at", "took", "process", "f", "outcome", "message"]);
    run.stable = await columns("stable", ["latency"]);
    run.turns = await columns("turn", ["at", "took", "place", "message"]);
    run.stable.known = await unpackMoments("stable-known");
    run.texts = new Texts("message", about.firsts.message);
    run.operationTexts = new Texts("operation", about.firsts.operation);
    run.logs = await new Logs(about.logs).load();
    run.setUpMessages();
    run.setUpOperations();
    run.setUpTurns();
    return run;
  }

  setUpMessages() {
    const { about, messages: m } = this;
    const count = (m.count = m.took.length);
    m.at = summed(m.at);
    m.end = new Float64Array(count);
    m.answer = new Int32Array(count).fill(NONE); // the first message that answers this one
    m.copied = new Uint8Array(count);
    for (let i = 0; i < count; i++) {
      m.end[i] = m.took[i] === NONE ? about.end : m.at[i] + m.took[i];
      if (m.request[i] === NONE) continue;
      m.request[i] = i - m.request[i];
      if (m.answer[m.request[i]] === NONE) m.answer[m.request[i]] = i;
    }
    for (const row of this.copies["copy-row"]) m.copied[row] = 1;
    this.setUpLanes();
    this.setUpFamilies();
    const blocks = Math.ceil(count / BLOCK);
    this.latestEnds = new Float64Array(blocks).fill(-Infinity);
    for (let i = 0; i < count; i++) {
      const block = (i / BLOCK) | 0;
      if (m.end[i] > this.latestEnds[block]) this.latestEnds[block] = m.end[i];
    }
    this.start = Math.min(0, count ? m.at[0] : 0);
    this.end = Math.max(about.end, this.start + 1000);
  }

  // A lane for each node and service. A client has none: it is at home above whom it talks to.
  setUpLanes() {
    const { about, messages: m } = this;
    const isNode = (name) => /^n\d+$/.test(name);
    const isClient = (name) => name[0] === "c";
    const names = about.endpoints.filter((name) => !isClient(name)).sort(byNumber);
    this.lanes = [...names.filter(isNode), ...names.filter((name) => !isNode(name))];
    this.nodes = this.lanes.filter(isNode);
    const lane = about.endpoints.map((name) => this.lanes.indexOf(name));
    this.isClient = Uint8Array.from(about.endpoints, (name) => (isClient(name) ? 1 : 0));
    m.from = new Int16Array(m.count); // lanes
    m.to = new Int16Array(m.count);
    for (let i = 0; i < m.count; i++) {
      const from = lane[m.src[i]];
      const to = lane[m.dest[i]];
      m.from[i] = from < 0 ? Math.max(to, 0) : from;
      m.to[i] = to < 0 ? Math.max(from, 0) : to;
    }
  }

  // A request and its answer are a family (`read` and `read_ok`): they share a colour.
  setUpFamilies() {
    const { about, messages: m } = this;
    const counts = new Map();
    const familyOf = about.types.map((type) => type.replace(/_ok$/, ""));
    for (const name of familyOf) counts.set(name, 0);
    for (let i = 0; i < m.count; i++) {
      const name = familyOf[m.type[i]];
      counts.set(name, counts.get(name) + 1);
    }
    this.families = [...counts.keys()].sort((a, b) => counts.get(b) - counts.get(a));
    this.familyCounts = this.families.map((name) => counts.get(name));
    const number = familyOf.map((name) => this.families.indexOf(name));
    m.family = Uint16Array.from(m.type, (type) => number[type]);
  }

  setUpOperations() {
    const o = this.operations;
    o.count = o.took.length;
    o.at = summed(o.at);
    o.end = new Float64Array(o.count);
    this.operationOf = new Map(); // by the row of its request
    // A process that has ended leaves its lane to the next one, as its worker does.
    const lanes = new Map();
    const last = new Map();
    for (let i = 0; i < o.count; i++) {
      o.end[i] = o.took[i] === NONE ? this.end : o.at[i] + o.took[i];
      if (o.message[i] !== NONE) this.operationOf.set(o.message[i], i);
      last.set(o.process[i], o.end[i]);
    }
    const free = []; // by lane: when its process has ended
    o.lane = new Int32Array(o.count);
    for (let i = 0; i < o.count; i++) {
      const process = o.process[i];
      if (!lanes.has(process)) {
        let lane = free.findIndex((end) => end <= o.at[i]);
        if (lane < 0) lane = free.length;
        free[lane] = last.get(process);
        lanes.set(process, lane);
      }
      o.lane[i] = lanes.get(process);
    }
    this.operationLanes = free.length;
    if (o.count) this.end = Math.max(this.end, o.end.reduce((a, b) => Math.max(a, b)));
  }

  // Turns that threads lost, in the order in which they began.
  setUpTurns() {
    const { about, turns: t } = this;
    for (const place of about.places) place.text = printable(place.text);
    const lanes = about.places.map(({ node }) => this.lanes.indexOf(node));
    t.count = t.took.length;
    t.at = summed(t.at);
    t.end = t.at.map((at, i) => (t.took[i] === NONE ? this.end : at + t.took[i]));
    t.lane = Array.from(t.place, (place) => lanes[place]);
  }

  // The messages that are under way between two times, by the index: `visit(row)`.
  between(from, to, visit) {
    const { at, end, count } = this.messages;
    for (let block = 0; block < this.latestEnds.length; block++) {
      const first = block * BLOCK;
      if (at[first] > to) return;
      if (this.latestEnds[block] < from) continue;
      const stop = Math.min(first + BLOCK, count);
      for (let i = first; i < stop && at[i] <= to; i++) if (end[i] >= from) visit(i);
    }
  }

  // The number of the first operation that was invoked at `time` or later.
  operationFrom(time) {
    const at = this.operations.at;
    let low = 0;
    let high = at.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (at[middle] < time) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  // A message and an operation in a few words.

  titleOf(row) {
    const { took } = this.messages;
    const fate = this.fate(row);
    const after = took[row] === NONE ? "" : ` after ${duration(took[row])}`;
    return `${this.type(row)}: ${this.src(row)} → ${this.dest(row)}, ${fate}${after}`;
  }

  turnTitle(number) {
    const { took, place } = this.turns;
    const { node, function: name, line, text } = this.about.places[place[number]];
    const long = took[number] === NONE ? "until the end" : `for ${duration(took[number])}`;
    const where = name.startsWith("<") ? "" : ` in ${name}`;
    return `${node} lost its turn ${long}${where} before ${line}: ${text}`;
  }

  operationTitle(index) {
    const { f, process, took } = this.operations;
    const after = took[index] === NONE ? "" : ` after ${duration(took[index])}`;
    return `${this.about.f[f[index]]} of process ${process[index]}: ${this.outcome(index)}${after}`;
  }

  outcome(index) {
    return this.about.outcomes[this.operations.outcome[index]];
  }

  type(row) {
    return this.about.types[this.messages.type[row]];
  }

  src(row) {
    return this.about.endpoints[this.messages.src[row]];
  }

  dest(row) {
    return this.about.endpoints[this.messages.dest[row]];
  }

  fate(row) {
    return this.about.fates[this.messages.fate[row]];
  }
}
