// Sixty-four bins of a sample, and the range that the colours span.

import { colour, el, setText } from "./dom.js";
import { numberText } from "./format.js";

const [WIDTH, HEIGHT, STEPS] = [220, 60, 256];

/**
 * Heights of bars between 0 and 1; the root keeps small counts to be seen.
 * @param {number[]} counts
 */
export function barHeights(counts) {
  const most = Math.max(...counts, 1);
  return counts.map((count) => Math.sqrt(count / most));
}

export class Histogram {
  /** @param {(range: [number, number]) => void} onrange */
  constructor(onrange) {
    this.onrange = onrange;
    this.canvas = /** @type {HTMLCanvasElement} */ (el("canvas", { width: WIDTH, height: HEIGHT, class: "rx-histogram", role: "img" }));
    this.canvas.removeAttribute("data-lm-suppress-shortcuts");
    this.low = this.#slider("lower end of the colours", 0);
    this.high = this.#slider("upper end of the colours", STEPS);
    this.text = el("div", { class: "rx-quiet" });
    this.element = el("div", { class: "rx-clip" }, this.canvas, this.low, this.high, this.text);
    /** @type {[number, number]} */ this.edges = [0, 1];
    /** @type {number[]} */ this.heights = [];
  }

  /**
   * @param {any} figures
   * @param {[number, number]} range
   */
  show(figures, range) {
    if (!figures.histogram.length) {
      this.element.hidden = true;
      return;
    }
    this.edges = figures.edges;
    this.canvas.setAttribute("aria-label", `histogram of ${figures.sampled} elements from ${numberText(this.edges[0])} to ${numberText(this.edges[1])}`);
    this.sampled = figures.sampled < figures.size ? `sampled: ${figures.sampled.toLocaleString("en-US")} of ${figures.size.toLocaleString("en-US")}` : "";
    this.heights = barHeights(figures.histogram);
    this.draw();
    this.#tell(range);
  }

  draw() {
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    context.clearRect(0, 0, WIDTH, HEIGHT);
    context.fillStyle = colour(this.canvas, "color");
    const wide = WIDTH / this.heights.length;
    this.heights.forEach((height, index) => context.fillRect(index * wide, HEIGHT * (1 - height), wide - 0.5, HEIGHT * height));
  }

  #slider(label, value) {
    return /** @type {HTMLInputElement} */ (el("input", { type: "range", min: 0, max: STEPS, value, "aria-label": label,
      oninput: () => this.#moved() }));
  }

  #moved() {
    const at = (slider) => this.edges[0] + (Number(slider.value) / STEPS) * (this.edges[1] - this.edges[0]);
    const range = /** @type {[number, number]} */ ([at(this.low), at(this.high)].sort((a, b) => a - b));
    this.#tell(range);
    this.onrange(range);
  }

  #tell(range) {
    setText(this.text, `colours ${numberText(range[0])} … ${numberText(range[1])}${this.sampled ? `, ${this.sampled}` : ""}`);
  }
}
