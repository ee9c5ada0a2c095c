// What the page holds: blocks of zlib data in base64, in elements that are never shown.

async function unpack(name) {
  const element = document.getElementById(name);
  if (!element) return new Uint8Array();
  const text = atob(element.textContent);
  element.remove(); // what is unpacked needs no second copy
  const packed = Uint8Array.from({ length: text.length }, (_, i) => text.charCodeAt(i));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

async function unpackText(name) {
  return new TextDecoder().decode(await unpack(name));
}

async function unpackColumn(name) {
  const bytes = await unpack(name);
  return new Int32Array(bytes.buffer, 0, bytes.length >> 2);
}

// Times in no order; NaN is one that isn't known.
async function unpackMoments(name) {
  const bytes = await unpack(name);
  return new Float64Array(bytes.buffer, 0, bytes.length >> 3);
}

// A column of steps as the numbers themselves.
function summed(steps) {
  const numbers = new Float64Array(steps.length);
  let sum = 0;
  for (let i = 0; i < steps.length; i++) numbers[i] = sum += steps[i];
  return numbers;
}

// Texts by number; a chunk is unpacked when somebody first asks for one of its texts.
class Texts {
  constructor(name, firsts) {
    this.name = name;
    this.firsts = firsts;
    this.chunks = firsts.map(() => null);
  }

  chunk(number) {
    this.chunks[number] ??= unpackText(`${this.name}-text-${number}`).then((t) => t.split("\n"));
    return this.chunks[number];
  }

  async get(index) {
    let number = this.firsts.length - 1;
    while (number > 0 && this.firsts[number] > index) number--;
    return number < 0 ? "" : (await this.chunk(number))[index - this.firsts[number]];
  }

  // Every text with its number, chunk by chunk, so that the page stays alive meanwhile.
  async each(visit) {
    for (let number = 0; number < this.firsts.length; number++) {
      const lines = await this.chunk(number);
      lines.forEach((line, i) => visit(line, this.firsts[number] + i));
    }
  }
}
