// Which part of the time axis all tracks show, and what is pointed at, clicked and followed.

class View {
  constructor(start, end) {
    const margin = (end - start) * 0.01;
    this.first = start - margin;
    this.last = end + margin;
    this.from = this.first;
    this.to = this.last;
    this.cursor = null; // a time
    this.message = NONE; // the row that was clicked
    this.operation = NONE;
    this.hovered = { message: NONE, operation: NONE };
    this.listeners = [];
    this.waiting = false;
  }

  onChange(listener) {
    this.listeners.push(listener);
  }

  // Draw everything again, once, before the next frame.
  changed() {
    if (this.waiting) return;
    this.waiting = true;
    requestAnimationFrame(() => {
      this.waiting = false;
      for (const listener of this.listeners) listener();
    });
  }

  get span() {
    return this.to - this.from;
  }

  show(from, to) {
    const whole = this.last - this.first;
    const span = Math.min(Math.max(to - from, 20), whole);
    const middle = (from + to) / 2;
    this.from = Math.min(Math.max(middle - span / 2, this.first), this.last - span);
    this.to = this.from + span;
    this.changed();
  }

  whole() {
    this.show(this.first, this.last);
  }

  zoom(factor, time = (this.from + this.to) / 2) {
    const span = Math.min(Math.max(this.span * factor, 20), this.last - this.first);
    const share = (time - this.from) / this.span;
    const from = time - share * span;
    this.show(from, from + span);
  }

  pan(share) {
    const step = this.span * share;
    this.show(this.from + step, this.to + step);
  }

  // Bring a moment into sight, with `around` microseconds on both sides at most.
  goTo(time, around = 500000) {
    const half = Math.min(around, this.span / 2);
    this.show(time - half, time + half);
  }

  ensure(from, to) {
    if (from >= this.from && to <= this.to) this.changed();
    else {
      const half = Math.max(this.span / 2, (to - from) * 0.75);
      const middle = (from + to) / 2;
      this.show(middle - half, middle + half);
    }
  }
}

// Times in words: as seconds since the load began, and as durations.

function moment(time, span = 1e6) {
  const digits = span < 5e3 ? 6 : span < 5e4 ? 5 : span < 5e5 ? 4 : span < 2e7 ? 3 : 2;
  return `${(time / 1e6).toFixed(digits)} s`;
}

function duration(micros) {
  if (micros === 0) return "0 ms";
  if (Math.abs(micros) < 1000) return `${micros} µs`;
  if (Math.abs(micros) < 1e6) return `${+(micros / 1000).toPrecision(4)} ms`;
  return `${+(micros / 1e6).toPrecision(4)} s`;
}

// A round step (1, 2 or 5 times a power of ten) that is at least `least`.
function roundStep(least) {
  const power = 10 ** Math.floor(Math.log10(least));
  return [1, 2, 5, 10].map((k) => k * power).find((step) => step >= least * 0.999999);
}

function quantileOf(numbers, q) {
  return numbers.sort()[Math.min(numbers.length - 1, Math.floor(numbers.length * q))];
}
