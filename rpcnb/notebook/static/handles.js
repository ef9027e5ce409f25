// The handle table: what is held over there, why, and what can be done about it.

import { button, el, setText } from "./dom.js";
import { ageText, countText, sizeText } from "./format.js";
import { Grid, textCell } from "./grid.js";

const UNDO = 5000; // milliseconds in which a handle that is to be freed can be kept
const SPEAK = 5000; // milliseconds between two announcements
const KINDS = { function: "func", iterator: "iter" };
const KEEP = 10; // minutes
const KEYS = `keys: arrows move · Enter inspects · w asks why · p pins, k keeps for ${KEEP} minutes · Delete frees`;

/**
 * The variable a handle is best known by: neither an output nor one of IPython's own.
 * @param {string[]} names
 */
export function mainName(names) {
  return names.find((name) => /^[A-Za-z]\w*$/.test(name)) ?? "—";
}

/**
 * Whether an output of the notebook keeps a handle.
 * @param {string[]} names
 */
export function inOutput(names) {
  return names.some((name) => name.startsWith("Out[") || /^_+$/.test(name));
}

/**
 * Where a handle was made.
 * @param {{cell: number|null, line: number|null}} handle
 */
export function createdText({ cell, line }) {
  return cell === null ? "" : `[${cell}]:${line}`;
}

/**
 * Whether a handle is kept whatever becomes of its names.
 * @param {string[]} names
 */
export function isPinned(names) {
  return names.some((name) => name.startsWith("(pinned"));
}

export class HandleView {
  /**
   * @param {import("./store.js").Store} store
   * @param {(message: object) => void} send
   * @param {(handle: number) => void} inspect
   */
  constructor(store, send, inspect) {
    this.store = store;
    this.send = send;
    this.inspect = inspect;
    /** @type {Map<number, number>} */ this.leaving = new Map();
    this.spokenAt = -SPEAK;
    this.spoken = 0;
    this.grid = new Grid({
      label: "Handles",
      keyOf: (/** @type {any} */ handle) => handle.handle,
      onKey: (key, handle) => this.#pressed(key, handle),
      columns: [
        { title: "Name", width: "minmax(76px, 160px)", sort: (row) => this.#name(row), fill: (cell, row) => textCell(cell, this.#name(row), this.#name(row)) },
        { title: "Kind", width: "54px", sort: (row) => row.kind, fill: (cell, row) => textCell(cell, KINDS[row.kind] ?? row.kind, row.kind) },
        { title: "Type", width: "minmax(106px, 2fr)", optional: 3, fill: (cell, row) => textCell(cell, row.summary.replace(/ on cpu:0$/, ""), row.summary) },
        { title: "Bytes", width: "72px", numeric: true, sort: (row) => row.nbytes, fill: (cell, row) => this.#bytes(cell, row) },
        { title: "Age", width: "38px", numeric: true, optional: 2, sort: (row) => -row.born, fill: (cell, row) => textCell(cell, ageText(this.store.now() - row.born)) },
        { title: "Created", width: "62px", optional: 1, sort: (row) => row.cell ?? -1, fill: (cell, row) => textCell(cell, createdText(row)) },
        { title: "Held by", width: "minmax(72px, 1fr)", fill: (cell, row) => this.#holders(cell, row) },
        { title: "State", width: "68px", fill: (cell, row) => textCell(cell, this.#state(row)) },
        { title: "Look", width: "68px", fill: (cell, row) => this.#act(cell, row.kind === "array" && !row.lost ? "Inspect" : "", row, () => this.inspect(row.handle)) },
        { title: "Output", width: "64px", fill: (cell, row) => this.#act(cell, inOutput(this.#names(row)) ? "Forget" : "", row, () => this.send({ type: "forget", handle: row.handle }), "Forget output") },
        { title: "Keep", width: "60px", fill: (cell, row) => this.#act(cell, row.lost ? "" : isPinned(this.#names(row)) ? "Unpin" : "Pin", row, () => this.#pin(row)) },
        { title: "Free", width: "56px", fill: (cell, row) => this.#act(cell, row.lost ? "" : this.leaving.has(row.handle) ? "Undo" : "Free", row, () => this.#free(row)) },
      ],
    });
    this.total = el("div", { class: "rx-quiet" });
    this.live = el("div", { class: "rx-hidden", "aria-live": "polite" });
    this.keys = el("div", { class: "rx-quiet rx-keys" }, KEYS);
    this.element = el("section", { class: "rx-handles", "aria-label": "Handles" }, this.total, this.grid.element, this.keys, this.live);
  }

  update() {
    const rows = [...this.store.handles.values()].filter((handle) => handle.died === null || handle.lost);
    const bytes = this.store.session?.nbytes ?? 0;
    this.keys.hidden = this.grid.element.hidden = rows.length === 0;
    const alive = rows.filter((row) => !row.lost).length;
    setText(this.total, `${countText(alive, "handle")}, ${sizeText(bytes)} held over there`);
    this.grid.setRows(rows);
    this.#speak(alive, bytes);
  }

  #names(row) {
    return this.store.held[row.handle] ?? [];
  }

  #name(row) {
    return mainName(this.#names(row));
  }

  #state(row) {
    if (row.lost) return this.store.session?.state === "closed" ? "✕ closed" : "✕ lost";
    return this.leaving.has(row.handle) ? "… freeing" : "● live";
  }

  #bytes(cell, row) {
    textCell(cell, row.kind === "array" ? sizeText(row.nbytes) : "–", `${row.nbytes.toLocaleString("en-US")} bytes`);
  }

  #holders(cell, row) {
    const known = this.store.why.get(row.handle);
    const names = known?.length ? known : this.#names(row);
    const text = names.join(", ") || (known ? "nothing of yours" : "Why?");
    if (!cell.firstElementChild) cell.append(button("", () => this.#why(row), { class: "rx-link", tabindex: -1 }));
    const link = /** @type {HTMLElement} */ (cell.firstElementChild);
    textCell(link, text, `${text}; press to look everywhere, which takes a moment`);
    link.setAttribute("aria-label", `${this.#name(row)} is held by ${text}; look everywhere`);
  }

  #act(cell, text, row, onclick, label = text) {
    if (cell.dataset.shows === text) return;
    cell.dataset.shows = text;
    const focused = cell.contains(document.activeElement);
    const name = `${label} ${this.#name(row)}, handle ${row.handle}`;
    cell.replaceChildren(text ? button(text, onclick, { "aria-label": name, tabindex: -1 }) : "");
    if (!text) cell.tabIndex = -1;
    if (focused) /** @type {HTMLElement} */ (cell.firstElementChild ?? cell).focus();
  }

  #why(row) {
    this.send({ type: "why", handle: row.handle });
  }

  #pin(row) {
    this.send({ type: isPinned(this.#names(row)) ? "unpin" : "pin", handle: row.handle });
  }

  #free(row) {
    const waiting = this.leaving.get(row.handle);
    if (waiting !== undefined) {
      clearTimeout(waiting);
      this.leaving.delete(row.handle);
    } else {
      this.leaving.set(row.handle, Number(setTimeout(() => {
        this.leaving.delete(row.handle);
        this.send({ type: "free", handle: row.handle });
      }, UNDO)));
    }
    this.grid.draw();
  }

  #pressed(key, row) {
    if (key === "Delete") this.#free(row);
    else if (key === "w") this.#why(row);
    else if (key === "p") this.#pin(row);
    else if (key === "k") this.send({ type: "pin", handle: row.handle, minutes: KEEP });
    else if (key === "Enter" && row.kind === "array") this.inspect(row.handle);
    else return false;
    return true;
  }

  /** Tell who listens how many there are, now and then. */
  #speak(count, bytes) {
    const now = performance.now();
    if (count === this.spoken || now - this.spokenAt < SPEAK) return;
    const more = count - this.spoken;
    const change = more > 0 ? `${countText(more, "handle")} added` : `${countText(-more, "handle")} gone`;
    this.live.textContent = `${change}, ${sizeText(bytes)} in use`;
    this.spoken = count;
    this.spokenAt = now;
  }
}
