// The picture of an array: tiles over an overview, marks on what must not be missed.

import { colour, el } from "./dom.js";
import { lookUpTable } from "./colours.js";

export const SIDE = 320; // pixels
const RING = 6; // pixels

export class Heatmap {
  /** @param {Record<string, unknown>} attributes of the canvas */
  constructor(attributes) {
    this.canvas = /** @type {HTMLCanvasElement} */ (el("canvas", { class: "rx-heatmap", width: SIDE, height: SIDE,
      tabindex: 0, role: "img", ...attributes }));
    this.map = "viridis";
    /** @type {[number, number]} */ this.range = [0, 1];
    /** @type {WeakMap<object, {canvas: HTMLCanvasElement, made: string}>} */ this.painted = new WeakMap();
  }

  /**
   * @param {{r0: number, r1: number, c0: number, c1: number}} window
   * @param {{codes: Uint8Array, size: [number, number], clip: [number, number],
   *   r0: number, r1: number, c0: number, c1: number}[]} layers the later ones above
   * @param {{sign: string, row: number, column: number}[]} marks
   */
  draw(window, layers, marks) {
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    context.clearRect(0, 0, SIDE, SIDE);
    context.imageSmoothingEnabled = false;
    const down = SIDE / (window.r1 - window.r0);
    const across = SIDE / (window.c1 - window.c0);
    for (const layer of layers) {
      const left = (layer.c0 - window.c0) * across;
      const top = (layer.r0 - window.r0) * down;
      const [width, height] = [(layer.c1 - layer.c0) * across, (layer.r1 - layer.r0) * down];
      context.clearRect(left, top, width, height); // NaN is see-through: nothing coarser may show there
      context.drawImage(this.#paint(layer), left, top, width, height);
    }
    this.#drawMarks(context, marks, (row) => (row - window.r0) * down, (column) => (column - window.c0) * across);
  }

  #drawMarks(context, marks, y, x) {
    context.lineWidth = 1.5;
    context.font = "bold 11px sans-serif";
    for (const { sign, row, column } of marks) {
      const [left, top] = [x(column), y(row)];
      if (left < 0 || top < 0 || left > SIDE || top > SIDE) continue;
      for (const [style, size] of [[colour(this.canvas, "background-color"), RING + 1.5], [colour(this.canvas, "color"), RING]]) {
        context.strokeStyle = style;
        context.beginPath();
        context.arc(left, top, size, 0, 2 * Math.PI);
        context.stroke();
      }
      context.fillStyle = colour(this.canvas, "color");
      context.strokeStyle = colour(this.canvas, "background-color");
      context.lineWidth = 3;
      const [wide, base] = [context.measureText(sign).width, Math.min(Math.max(top + 4, 10), SIDE - 4)];
      const beside = left + RING + 2 + wide > SIDE ? left - RING - 2 - wide : left + RING + 2;
      context.strokeText(sign, beside, base);
      context.fillText(sign, beside, base);
      context.lineWidth = 1.5;
    }
  }

  /** Codes as pixels; kept until colours change. */
  #paint(layer) {
    const made = `${this.map} ${this.range}`;
    const known = this.painted.get(layer);
    if (known?.made === made) return known.canvas;
    const [rows, columns] = layer.size;
    const canvas = known?.canvas ?? document.createElement("canvas");
    canvas.width = columns;
    canvas.height = rows;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const image = context.createImageData(columns, rows);
    const table = lookUpTable(this.map, layer.clip, this.range);
    const pixels = new Uint32Array(image.data.buffer);
    for (let index = 0; index < pixels.length; index += 1) pixels[index] = table[layer.codes[index]];
    context.putImageData(image, 0, 0);
    this.painted.set(layer, { canvas, made });
    return canvas;
  }
}
