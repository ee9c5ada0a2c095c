// A value on its way through the cluster: the messages that carry it, and who had it first when.
//
// A pair of key and value (a kafka message, a transaction's write) is carried by a message in which
// both stand together: next to each other in a list, in the same object, or the one under the
// other. In kafka a number may be an offset, too, so that a key is a string there, and what stands
// under it is a list of records: messages, or offsets with messages. A single value is carried in
// any field where values travel. Which fields these are is found out from the messages, because 7
// may be a value or a sequence number: a field carries values if at least half of all values occur
// in it, and none before a client asked for it.

const ENVELOPE = new Set(["msg_id", "in_reply_to", "type", "code"]);

class Follow {
  constructor(app) {
    this.app = app;
    this.active = false;
    this.value = undefined;
    this.carries = new Uint8Array(app.run.messages.count);
    this.firsts = []; // [lane, row] in the order of receipt
    this.start = 0;
    this.index = null;
    this.turn = 0;
    this.isKafka = app.run.about.workload === "kafka";
  }

  clear() {
    this.turn++;
    this.active = false;
    this.value = undefined;
    this.firsts = [];
  }

  // Follow a value; resolves to the number of messages that carry it, or to null if a later call
  // has overtaken this one.
  async set(value) {
    const turn = ++this.turn;
    const carries = new Uint8Array(this.app.run.messages.count);
    const rows = await this.rowsOf(value);
    if (turn !== this.turn) return null;
    for (const row of rows) carries[row] = 1;
    this.carries = carries;
    this.active = true;
    this.value = value;
    this.findFirsts(rows);
    return rows.length;
  }

  async rowsOf(value) {
    if (Array.isArray(value) && value.length === 2) return this.rowsOfPair(value);
    if (typeof value === "number" && (await this.fields()).size) {
      return (await this.carriers()).get(value) ?? [];
    }
    return this.rowsWith((body) => holds(body, value));
  }

  async rowsWith(test) {
    const rows = [];
    await this.app.run.texts.each((line, row) => {
      if (test(bodyOf(line))) rows.push(row);
    });
    return rows;
  }

  async rowsOfPair([key, value]) {
    const text = JSON.stringify(value);
    const rows = [];
    const { isKafka } = this;
    await this.app.run.texts.each((line, row) => {
      if (!line.includes(text)) return;
      if (holdsPair(bodyOf(line), String(key), value, isKafka)) rows.push(row);
    });
    // The same two numbers may stand together by chance, but nobody has a pair before it is asked for.
    const { isClient, messages } = this.app.run;
    const first = rows.findIndex((row) => isClient[messages.src[row]]);
    return rows.slice(Math.max(first, 0));
  }

  // The kafka message at an offset of a key, by the first poll or answer to a send that tells.
  async at(key, offset) {
    const { run } = this.app;
    const sent = new Map(); // by the row of the request
    let found;
    await run.texts.each((line, row) => {
      if (found !== undefined || !/"(send|poll)/.test(line)) return;
      const { type, key: to, msg, msgs, offset: given } = bodyOf(line);
      if (type === "send" && String(to) === key) sent.set(row, msg);
      if (type === "send_ok" && given === offset) found = sent.get(run.messages.request[row]);
      if (type !== "poll_ok" || !Array.isArray(msgs?.[key])) return;
      found = msgs[key].find((pair) => Array.isArray(pair) && pair[0] === offset)?.[1];
    });
    return found;
  }

  findFirsts(rows) {
    const { run, arrives } = this.app;
    const { at, end, fate, to, dest } = run.messages;
    const had = new Map();
    const received = rows.filter((row) => arrives[fate[row]] && !run.isClient[dest[row]]);
    received.sort((a, b) => end[a] - end[b]);
    for (const row of received) {
      // A service has what it is sent; it never passes anything on, so only nodes count.
      if (to[row] < run.nodes.length && !had.has(to[row])) had.set(to[row], row);
    }
    this.firsts = [...had];
    this.start = rows.length ? at[rows[0]] : 0;
  }

  // When a client first asked for each value that is written, by the workload's requests.
  async asked() {
    const asked = new Map();
    const { run } = this.app;
    await run.texts.each((line, row) => {
      if (!run.isClient[run.messages.src[row]]) return;
      const body = bodyOf(line);
      if (body.type === "read" || body.type === "init" || body.type === "topology") return;
      for (const [name, value] of Object.entries(body)) {
        if (ENVELOPE.has(name) || typeof value !== "number" || asked.has(value)) continue;
        asked.set(value, run.messages.at[row]);
      }
    });
    return asked;
  }

  // The fields in which values travel (names of keys, with `*` for elements of a list or object),
  // and for each whether the first element of a list counts: it doesn't if it is found again in
  // some list. Then it is no value but, say, the place of those that follow.
  async fields() {
    if (this.index) return this.index.fields;
    const { run } = this.app;
    const asked = await this.asked();
    const candidates = new Map();
    await run.texts.each((line, row) => {
      if (run.isClient[run.messages.src[row]]) return;
      const time = run.messages.at[row];
      scan(bodyOf(line), (field, value, rest) => {
        let known = candidates.get(field);
        if (!known) candidates.set(field, (known = { values: new Set(), wrong: false, heads: true }));
        const early = !(asked.get(value) <= time);
        if (rest) known.heads &&= !early && !rest.includes(value, 1);
        else if (early) known.wrong = true;
        else known.values.add(value);
      });
    });
    const fields = new Map();
    for (const [field, { values, wrong, heads }] of candidates) {
      if (!wrong && values.size >= asked.size / 2) fields.set(field, heads);
    }
    this.index = { fields, asked, carriers: null };
    return fields;
  }

  // For each value the rows of the messages that carry it.
  async carriers() {
    if (this.index.carriers) return this.index.carriers;
    const { run } = this.app;
    const { fields, asked } = this.index;
    const carriers = new Map();
    await run.texts.each((line, row) => {
      const mine = new Set();
      const fromClient = run.isClient[run.messages.src[row]];
      scan(bodyOf(line), (field, value, rest) => {
        const counts = fromClient ? !field.includes(".") : rest ? fields.get(field) : fields.has(field);
        if (counts && asked.has(value)) mine.add(value);
      });
      for (const value of mine) {
        if (!carriers.has(value)) carriers.set(value, []);
        carriers.get(value).push(row);
      }
    });
    this.index.carriers = carriers;
    return carriers;
  }
}

function bodyOf(line) {
  try {
    return JSON.parse(line).body ?? {};
  } catch {
    return {};
  }
}

// Every number in a body: `visit(field, number, list)`, with the list if it is the first of one.
function scan(body, visit) {
  const visitValue = (value, field, list) => {
    if (typeof value === "number") visit(field, value, list);
    else if (Array.isArray(value)) {
      const first = value.findIndex((item) => typeof item !== "string"); // names may come before
      const isHead = typeof value[first] === "number" && value.length > 1;
      value.forEach((item, i) => visitValue(item, `${field}.*`, isHead && i === first ? value.slice(i) : null));
    } else if (value && typeof value === "object") {
      for (const item of Object.values(value)) visitValue(item, `${field}.*`, null);
    }
  };
  for (const [name, value] of Object.entries(body)) {
    if (!ENVELOPE.has(name)) visitValue(value, name, null);
  }
}

// Does a value stand anywhere in a body, beside the envelope's fields?
function holds(body, wanted) {
  const text = JSON.stringify(wanted);
  const inside = (value) =>
    JSON.stringify(value) === text ||
    (value !== null && typeof value === "object" && Object.values(value).some(inside));
  return Object.entries(body).some(([name, value]) => !ENVELOPE.has(name) && inside(value));
}

// Do a key and a value stand together somewhere?
function holdsPair(node, key, value, isKafka) {
  if (node === null || typeof node !== "object") return false;
  const same = (item) => item === value || JSON.stringify(item) === JSON.stringify(value);
  const isKey = (item) => item === key || (!isKafka && typeof item === "number" && String(item) === key);
  if (Array.isArray(node)) {
    if (node.some((item, i) => isKey(item) && i + 1 < node.length && same(node[i + 1]))) return true;
  } else {
    const fields = Object.entries(node).filter(([name]) => !ENVELOPE.has(name));
    const key_at = fields.findIndex(([, item]) => isKey(item));
    if (key_at >= 0 && fields.some(([, item], i) => i !== key_at && same(item))) return true;
    const under = fields.filter(([name]) => name === key).map(([, item]) => item);
    if (under.some((item) => (isKafka ? records(item).some((each) => same(each.at(-1))) : within(item, same)))) {
      return true;
    }
  }
  return Object.values(node).some((item) => holdsPair(item, key, value, isKafka));
}

function within(item, same) {
  return same(item) || (Array.isArray(item) && item.some((each) => within(each, same)));
}

// The records of a list: [message] or [offset, message].
function records(item) {
  return Array.isArray(item) ? item.map((each) => (Array.isArray(each) ? each : [each])) : [];
}
