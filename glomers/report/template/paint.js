// Colours and marks. The palette is Okabe and Ito's, which can be told apart with any kind of
// colour vision; what matters has a shape as well.

const FAMILY_COLOURS = ["blue", "orange", "green", "purple", "sky", "olive", "brown", "grey"];

class Theme {
  constructor(changed) {
    this.read();
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
      this.read();
      changed();
    });
  }

  read() {
    const style = getComputedStyle(document.documentElement);
    const names = [
      "ink", "soft", "line", "paper", "band", "trouble", "accent", ...FAMILY_COLOURS,
      "ok", "fail", "info", "open",
    ];
    this.colours = Object.fromEntries(
      names.map((name) => [name, style.getPropertyValue(`--${name}`).trim()]),
    );
    this.hatches = {};
  }

  family(number) {
    return this.colours[FAMILY_COLOURS[Math.min(number, FAMILY_COLOURS.length - 1)]];
  }

  // Stripes in a colour, as a fill.
  hatch(context, colour, slant = 1) {
    const key = `${colour} ${slant}`;
    if (!this.hatches[key]) {
      const tile = document.createElement("canvas");
      tile.width = tile.height = 12;
      const brush = tile.getContext("2d");
      brush.strokeStyle = colour;
      brush.lineWidth = 2;
      for (const shift of [-12, 0, 12]) {
        brush.moveTo(shift, slant > 0 ? 12 : 0);
        brush.lineTo(shift + 12, slant > 0 ? 0 : 12);
      }
      brush.stroke();
      this.hatches[key] = context.createPattern(tile, "repeat");
    }
    return this.hatches[key];
  }
}

// Marks, all of about the same size, as parts of a path that the caller strokes or fills.
const MARKS = {
  cross(path, x, y, r) {
    path.moveTo(x - r, y - r);
    path.lineTo(x + r, y + r);
    path.moveTo(x + r, y - r);
    path.lineTo(x - r, y + r);
  },
  ring(path, x, y, r) {
    path.moveTo(x + r, y);
    path.arc(x, y, r, 0, 7);
  },
  square(path, x, y, r) {
    path.rect(x - r, y - r, 2 * r, 2 * r);
  },
  triangle(path, x, y, r) {
    path.moveTo(x, y - r);
    path.lineTo(x + r, y + r);
    path.lineTo(x - r, y + r);
    path.closePath();
  },
};

// By fate: the mark at the place where a message ended. What arrived has an arrow's head.
const FATE_MARKS = { lost: "ring", cut: "cross", dropped: "square", late: "triangle" };

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children);
  return made;
}
