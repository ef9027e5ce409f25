// The values in the middle of the view, as NumPy writes them: what the picture says, to read.

import { el } from "./dom.js";

export const [ROWS, COLUMNS] = [12, 8];

/**
 * The part of a window whose values are shown: its middle, whole cells, inside the array.
 * @param {{r0: number, r1: number, c0: number, c1: number}} window
 * @param {[number, number]} size
 */
export function middleOf(window, size) {
  const along = (from, to, all, most) => {
    const first = Math.max(Math.floor(from), 0);
    const count = Math.min(most, Math.ceil(Math.min(to, all)) - first);
    const start = Math.max(first, Math.floor((from + to - count) / 2));
    return [Math.min(start, all - count), Math.min(start, all - count) + count];
  };
  const [r0, r1] = along(window.r0, window.r1, size[0], ROWS);
  const [c0, c1] = along(window.c0, window.c1, size[1], COLUMNS);
  return { r0, r1, c0, c1 };
}

export class ValueTable {
  constructor() {
    this.asked = "";
    this.element = el("table", { class: "rx-values", "aria-label": "Values in the middle of the view" });
    this.element.hidden = true;
  }

  /**
   * @param {{r0: number, r1: number, c0: number, c1: number}} window
   * @param {[number, number]} size
   */
  part(window, size) {
    return middleOf(window, size);
  }

  /** @param {{index: (number|[number, number])[], values: string[][]}} message */
  show({ index, values }) {
    const ranges = index.filter((item) => Array.isArray(item));
    const [down, across] = ranges.length === 2 ? ranges : [[0, 1], ranges[0] ?? [0, 1]];
    const head = values[0].map((_, column) => el("th", { scope: "col" }, across[0] + column));
    const rows = values.map((row, number) => el("tr", {}, el("th", { scope: "row" }, down[0] + number),
      ...row.map((value) => el("td", {}, value))));
    this.element.replaceChildren(el("thead", {}, el("tr", {}, el("td"), ...head)), el("tbody", {}, ...rows));
  }
}
