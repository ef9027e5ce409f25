// A table with one tab stop: arrows move, rows out of view are not in the page.

import { el, setText } from "./dom.js";

const OVERSCAN = 4;

/**
 * Which rows to have in the page.
 * @param {number} scrollTop pixels
 * @param {number} height pixels
 * @param {number} rowHeight pixels
 * @param {number} count
 * @returns {[number, number]} first, and one after the last
 */
export function visibleRange(scrollTop, height, rowHeight, count) {
  const first = Math.max(0, Math.floor(scrollTop / rowHeight) - OVERSCAN);
  const last = Math.min(count, Math.ceil((scrollTop + height) / rowHeight) + OVERSCAN);
  return [Math.min(first, count), Math.max(last, Math.min(first, count))];
}

/**
 * Where a key leads; row -1 is the head.
 * @param {string} key
 * @param {number} row
 * @param {number} column
 * @param {{rows: number, columns: number, page: number}} size
 * @returns {[number, number]|null} null for keys that lead nowhere
 */
export function moved(key, row, column, size) {
  const to = {
    ArrowUp: [row - 1, column],
    ArrowDown: [row + 1, column],
    ArrowLeft: [row, column - 1],
    ArrowRight: [row, column + 1],
    Home: [row, 0],
    End: [row, size.columns - 1],
    PageUp: [Math.max(0, row - size.page), column],
    PageDown: [row + size.page, column],
  }[key];
  if (!to) return null;
  return [Math.min(Math.max(to[0], -1), size.rows - 1), Math.min(Math.max(to[1], 0), size.columns - 1)];
}

/** @param {{width: string}|undefined} column pixels it needs at least */
function least(column) {
  return Number(/\d+/.exec(column?.width ?? "")?.[0] ?? 0);
}

/** @param {{width: string}[]} columns pixels that all need, the scroll bar included */
function leastWidth(columns) {
  return columns.reduce((sum, column) => sum + least(column), 30);
}

/**
 * Which optional columns to leave out.
 * @param {number} width pixels
 * @param {{width: string, optional?: number}[]} columns
 */
export function hiddenColumns(width, columns) {
  const numbers = columns.map((column) => column.optional ?? 0).filter((number) => number > 0).sort();
  const hidden = [];
  let needed = leastWidth(columns);
  while (width > 0 && needed > width && numbers.length) {
    const number = numbers.shift();
    hidden.push(number);
    needed -= least(columns.find((column) => column.optional === number));
  }
  return hidden;
}

/**
 * @template Row
 * @typedef {{title: string, width: string, numeric?: boolean, optional?: number,
 *   sort?: (row: Row) => number|string, fill: (cell: HTMLElement, row: Row) => void}} Column
 */

/** @template Row */
export class Grid {
  /**
   * @param {{label: string, columns: Column<Row>[], keyOf: (row: Row) => number,
   *   onKey?: (key: string, row: Row) => boolean, rowHeight?: number, maxRows?: number,
   *   follow?: boolean}} options
   */
  constructor({ label, columns, keyOf, onKey, rowHeight = 28, maxRows = 12, follow = false }) {
    this.columns = columns;
    this.keyOf = keyOf;
    this.onKey = onKey;
    this.rowHeight = rowHeight;
    this.maxRows = maxRows;
    this.follow = follow;
    /** @type {Row[]} */ this.rows = [];
    /** @type {Map<number, {element: HTMLElement, cells: HTMLElement[]}>} */ this.built = new Map();
    /** @type {{column: number, down: boolean}|null} */ this.sorting = null;
    this.row = -1;
    this.column = 0;
    this.pointerInside = false;
    this.head = this.#makeHead();
    this.space = el("div", { class: "rx-space", role: "rowgroup" });
    this.body = el("div", { class: "rx-body", role: "presentation", onscroll: () => this.#scrolled() },
      el("div", { class: "rx-stays", role: "rowgroup" }, this.head), this.space); // so that what scrolls has a tab stop
    this.element = el("div", { class: "rx-grid", role: "grid", "aria-label": label, "aria-colcount": columns.length }, this.body);
    this.element.style.setProperty("--rx-columns", columns.map((column) => column.width).join(" "));
    this.element.style.setProperty("--rx-row", `${rowHeight}px`);
    this.element.addEventListener("keydown", (event) => this.#pressed(event));
    this.element.addEventListener("focusin", (event) => this.#focused(/** @type {HTMLElement} */ (event.target)));
    this.element.addEventListener("pointerenter", () => (this.pointerInside = true));
    this.element.addEventListener("pointerleave", () => (this.pointerInside = false));
    this.#markHead();
    new ResizeObserver(() => this.#fit()).observe(this.element);
  }

  /** Leave out columns where there is no room, those of the lowest number first. */
  #fit() {
    const narrow = hiddenColumns(this.element.parentElement?.clientWidth ?? 0, this.columns);
    if (this.element.dataset.narrow === narrow.join(" ")) return;
    this.element.dataset.narrow = narrow.join(" ");
    const shown = this.columns.filter((column) => !narrow.includes(column.optional ?? 0));
    this.element.style.minWidth = `${leastWidth(shown)}px`; // below that it scrolls sideways
    this.element.style.setProperty("--rx-columns", shown.map((column) => column.width).join(" "));
  }

  /**
   * Show these rows.  While the pointer or the focus is inside, rows keep their places.
   * @param {Row[]} rows
   */
  setRows(rows) {
    const held = this.pointerInside || this.element.contains(document.activeElement);
    const active = this.rows[this.row];
    const stay = this.follow && this.body.scrollTop + this.body.clientHeight >= this.body.scrollHeight - 2;
    this.rows = held && this.sorting ? this.#inOldOrder(rows) : this.#sorted(rows);
    if (active !== undefined && this.row >= 0) {
      const key = this.keyOf(active);
      const found = this.rows.findIndex((row) => this.keyOf(row) === key);
      this.row = found >= 0 ? found : Math.min(this.row, this.rows.length - 1);
    }
    this.element.setAttribute("aria-rowcount", String(this.rows.length + 1));
    this.space.style.height = `${this.rows.length * this.rowHeight}px`;
    this.body.style.height = `${(1 + Math.min(Math.max(this.rows.length, 1), this.maxRows)) * this.rowHeight}px`;
    if (stay) this.body.scrollTop = this.body.scrollHeight;
    this.draw();
  }

  /** Bring the rows in view into the page, and their cells up to date. */
  draw() {
    const [first, last] = visibleRange(this.body.scrollTop, this.#seen() || this.maxRows * this.rowHeight,
      this.rowHeight, this.rows.length);
    const wanted = new Set();
    for (let index = first; index < last; index += 1) wanted.add(index);
    if (this.row >= 0 && this.element.contains(document.activeElement)) wanted.add(this.row);
    const keys = new Set([...wanted].map((index) => this.keyOf(this.rows[index])));
    const hadFocus = this.space.contains(document.activeElement);
    for (const [key, { element }] of this.built) {
      if (!keys.has(key)) {
        element.remove();
        this.built.delete(key);
      }
    }
    for (const index of [...wanted].sort((a, b) => a - b)) this.#drawRow(index);
    if (hadFocus && !this.space.contains(document.activeElement)) this.focus(this.row, this.column);
  }

  /**
   * Put the focus somewhere; row -1 is the head.
   * @param {number} row
   * @param {number} column
   */
  focus(row, column) {
    this.row = row;
    this.column = column;
    this.#markHead();
    if (row >= 0) {
      const top = row * this.rowHeight;
      if (top < this.body.scrollTop) this.body.scrollTop = top;
      const below = top + this.rowHeight - this.#seen();
      if (below > this.body.scrollTop) this.body.scrollTop = below;
      this.draw();
    }
    const target = this.#target(row, column);
    if (target) {
      target.tabIndex = 0;
      target.focus({ preventScroll: row < 0 });
    }
  }

  /**
   * Put the focus on a row by its key.
   * @param {number} key
   */
  focusKey(key) {
    const found = this.rows.findIndex((row) => this.keyOf(row) === key);
    if (found >= 0) this.focus(found, 0);
  }

  /** Pixels of rows that are seen below the head. */
  #seen() {
    return Math.max(0, this.body.clientHeight - this.rowHeight);
  }

  #makeHead() {
    const cells = this.columns.map((column, index) => {
      const title = column.sort
        ? el("button", { type: "button", class: "rx-sort", onclick: () => this.#sortBy(index) }, column.title)
        : el("span", { tabindex: -1 }, column.title);
      return el("div", { role: "columnheader", class: column.numeric ? "rx-number" : null,
        "data-optional": column.optional, "aria-sort": column.sort ? "none" : null }, title);
    });
    return el("div", { role: "row", class: "rx-head", "aria-rowindex": 1 }, ...cells);
  }

  #markHead() {
    const empty = this.row < 0;
    [...this.head.children].forEach((cell, index) => {
      /** @type {HTMLElement} */ (cell.firstElementChild).tabIndex = empty && index === this.column ? 0 : -1;
    });
    for (const { cells } of this.built.values()) for (const cell of cells) focusable(cell).tabIndex = -1;
  }

  #target(row, column) {
    if (row < 0) return /** @type {HTMLElement} */ (this.head.children[column]?.firstElementChild);
    const built = this.rows[row] && this.built.get(this.keyOf(this.rows[row]));
    return built && focusable(built.cells[column]);
  }

  #makeRow(key) {
    const cells = this.columns.map((column, number) => el("div", { role: "gridcell", tabindex: -1,
      "aria-colindex": number + 1, "data-column": column.title, "data-optional": column.optional, class: column.numeric ? "rx-number" : null }));
    const built = { element: el("div", { role: "row", class: "rx-row", "data-key": key }, ...cells), cells };
    this.built.set(key, built);
    this.space.append(built.element);
    return built;
  }

  #drawRow(index) {
    const row = this.rows[index];
    const key = this.keyOf(row);
    const { element, cells } = this.built.get(key) ?? this.#makeRow(key);
    const top = `translateY(${index * this.rowHeight}px)`;
    if (element.style.transform !== top) element.style.transform = top;
    element.setAttribute("aria-rowindex", String(index + 2));
    this.columns.forEach((column, number) => {
      const cell = cells[number];
      column.fill(cell, row);
      const here = index === this.row && number === this.column ? 0 : -1;
      const target = focusable(cell);
      if (target.tabIndex !== here) target.tabIndex = here;
      if (target !== cell && cell.hasAttribute("tabindex")) cell.removeAttribute("tabindex");
    });
  }

  #pressed(event) {
    const size = { rows: this.rows.length, columns: this.columns.length,
      page: Math.max(1, Math.floor(this.#seen() / this.rowHeight) - 1) };
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const to = moved(event.key, this.row, this.column, size);
    if (to) {
      event.preventDefault();
      // Over columns that are left out; where none is left in that direction, stay.
      while (this.#isHidden(to[1]) && to[1] !== this.column) to[1] += to[1] > this.column ? 1 : -1;
      this.focus(to[0], to[1]);
      return;
    }
    const row = this.rows[this.row];
    if (row !== undefined && event.target.tagName !== "BUTTON" && this.onKey?.(event.key, row)) event.preventDefault();
    else if (row !== undefined && event.key !== "Enter" && event.key !== " " && this.onKey?.(event.key, row)) {
      event.preventDefault();
    }
  }

  #isHidden(column) {
    const narrow = (this.element.dataset.narrow ?? "").split(" ");
    return narrow.includes(String(this.columns[column]?.optional));
  }

  #focused(target) {
    const head = [...this.head.children].findIndex((cell) => cell.contains(target));
    if (head >= 0) {
      this.row = -1;
      this.column = head;
    } else {
      const element = target.closest("[role=row]");
      const key = Number(element?.getAttribute("data-key"));
      const found = this.rows.findIndex((row) => this.keyOf(row) === key);
      if (found < 0) return;
      this.row = found;
      this.column = [...element.children].findIndex((cell) => cell.contains(target));
    }
    this.#markHead();
    target.tabIndex = 0;
  }

  #sortBy(column) {
    const old = this.sorting;
    const down = old && old.column === column ? !old.down : true;
    this.sorting = { column, down };
    [...this.head.children].forEach((cell, index) => {
      if (!this.columns[index].sort) return;
      const way = down ? "descending" : "ascending";
      cell.setAttribute("aria-sort", index === column ? way : "none");
    });
    this.rows = this.#sorted(this.rows);
    this.draw();
  }

  #sorted(rows) {
    const sorting = this.sorting;
    const value = sorting && this.columns[sorting.column].sort;
    if (!sorting || !value) return rows;
    const way = sorting.down ? -1 : 1;
    const compare = (a, b) => (a < b ? -1 : a > b ? 1 : 0);
    return [...rows].sort((a, b) => way * compare(value(a), value(b)) || this.keyOf(a) - this.keyOf(b));
  }

  #inOldOrder(rows) {
    const fresh = new Map(rows.map((row) => [this.keyOf(row), row]));
    const kept = [];
    for (const old of this.rows) {
      const row = fresh.get(this.keyOf(old));
      if (row !== undefined) kept.push(row);
      fresh.delete(this.keyOf(old));
    }
    return [...kept, ...fresh.values()];
  }

  #scrolled() {
    requestAnimationFrame(() => this.draw());
  }
}

/**
 * What of a cell takes the focus: its button, or the cell itself.
 * @param {HTMLElement} cell
 * @returns {HTMLElement}
 */
export function focusable(cell) {
  return cell.querySelector("button:not([hidden])") ?? cell;
}

/**
 * Fill a cell with text.
 * @param {HTMLElement} cell
 * @param {string} text
 * @param {string} [title] more, on the pointer and for screen readers
 */
export function textCell(cell, text, title) {
  setText(cell, text);
  if (title !== undefined && cell.title !== title) cell.title = title;
}
