// The waterfall: one row for each call, phases on a common scale of time, Cancel on what runs.

import { button, el, setText } from "./dom.js";
import { durationText } from "./format.js";
import { Grid, textCell } from "./grid.js";

const QUIET = 0.3; // seconds of a call in which nothing is said of it
const SAMPLES = 3; // progress reports before an end is foretold
const WORDS = { sent: "waiting", started: "running", finished: "returned", failed: "raised",
  cancelled: "cancelled", orphaned: "orphaned", lost: "lost" };
const SIGNS = { sent: "◌", started: "▶", finished: "✓", failed: "✕", cancelled: "⊘", orphaned: "?", lost: "✕" };

/**
 * Where the parts of a call's bar lie, as fractions of the time shown.
 * @param {import("./store.js").Call} call
 * @param {number} from seconds
 * @param {number} to seconds
 * @param {number} now seconds
 * @returns {{wait: [number, number], run: [number, number], done: number|null, prints: number[]}}
 */
export function segments(call, from, to, now) {
  const span = Math.max(to - from, 1e-9);
  const at = (time) => Math.min(1, Math.max(0, (time - from) / span));
  const end = call.ended ?? now;
  // A call that ended before it was said to run ran at once: only slow ones announce it.
  const begun = call.started ?? (call.ended === null ? end : call.sent);
  return {
    wait: [at(call.sent), at(begun)],
    run: [at(begun), at(end)],
    done: call.total ? Math.min(1, Math.max(0, (call.done ?? 0) / call.total)) : null,
    prints: (call.prints ?? []).map(at),
  };
}

/**
 * Foretell the rest of a call from how far it is; null where that would be a guess.
 * @param {import("./store.js").Call} call
 * @param {number} now seconds
 * @param {number} samples progress reports so far
 */
export function secondsLeft(call, now, samples) {
  if (!call.total || !call.done || samples < SAMPLES || call.done >= call.total) return null;
  return ((now - (call.started ?? call.sent)) / call.done) * (call.total - call.done);
}

export class CallView {
  /**
   * @param {import("./store.js").Store} store
   * @param {(message: object) => void} send
   */
  constructor(store, send) {
    this.store = store;
    this.send = send;
    this.from = 0;
    this.to = 1;
    /** @type {Map<number, number>} */ this.samples = new Map();
    this.grid = new Grid({
      label: "Calls",
      keyOf: (/** @type {any} */ call) => call.id,
      rowHeight: 26,
      maxRows: 8,
      follow: true,
      onKey: (key, call) => this.#pressed(key, call),
      columns: [
        { title: "Call", width: "minmax(120px, 200px)", fill: (cell, call) => this.#name(cell, call) },
        { title: "State", width: "110px", fill: (cell, call) => this.#state(cell, call) },
        { title: "Time", width: "minmax(160px, 1fr)", fill: (cell, call) => this.#bar(cell, call) },
        { title: "Took", width: "80px", numeric: true, fill: (cell, call) => this.#took(cell, call) },
        { title: "Stop", width: "150px", fill: (cell, call) => this.#stop(cell, call) },
      ],
    });
    this.empty = el("div", { class: "rx-quiet" }, "no calls yet");
    this.element = el("section", { class: "rx-calls", "aria-label": "Calls" }, this.empty, this.grid.element);
  }

  update() {
    const calls = [...this.store.calls.values()];
    for (const call of calls) {
      if (call.ended === null && call.done) this.samples.set(call.id, (this.samples.get(call.id) ?? 0) + 1);
      else if (call.ended !== null) this.samples.delete(call.id);
    }
    this.empty.hidden = calls.length > 0;
    this.grid.element.hidden = calls.length === 0;
    this.#scale(calls);
    this.grid.setRows(calls);
  }

  /** Let the bars of running calls grow between messages. */
  tick() {
    if (this.store.running().length) {
      this.#scale(this.grid.rows);
      this.grid.draw();
    }
  }

  #scale(calls) {
    const shown = calls.slice(-this.grid.maxRows);
    const now = this.store.now();
    this.from = Math.min(...shown.map((call) => call.sent), now);
    this.to = Math.max(...shown.map((call) => call.ended ?? now), this.from + 0.001);
  }

  #name(cell, call) {
    const text = call.fast ? `+${call.fast} fast call${call.fast === 1 ? "" : "s"}` : call.name;
    textCell(cell, text, call.fast ? "calls under 50 ms" : `call ${call.id}: ${call.name}`);
  }

  #state(cell, call) {
    const asked = call.asked && call.ended === null;
    textCell(cell, call.fast ? "✓ returned" : asked ? "… stopping" : `${SIGNS[call.phase]} ${WORDS[call.phase]}`,
      call.detail ?? "");
  }

  #took(cell, call) {
    if (call.fast) {
      textCell(cell, durationText(call.median), `median of ${call.fast} calls`);
      return;
    }
    const seconds = (call.ended ?? this.store.now()) - call.sent;
    textCell(cell, seconds < QUIET && call.ended === null ? "" : durationText(seconds));
  }

  #bar(cell, call) {
    if (!cell.firstChild) {
      cell.append(el("div", { class: "rx-track" }, el("div", { class: "rx-wait" }),
        el("div", { class: "rx-run" }, el("div", { class: "rx-done" })), el("div", { class: "rx-ticks" }),
        el("span", { class: "rx-progress" })));
    }
    const [track] = /** @type {any} */ (cell.children);
    const [wait, run, ticks, label] = track.children;
    const now = this.store.now();
    const { wait: waited, run: ran, done, prints } = segments(call, this.from, this.to, now);
    place(wait, waited);
    place(run, ran);
    const phase = call.fast ? "finished" : call.phase;
    if (run.dataset.phase !== phase) run.dataset.phase = phase;
    run.firstChild.style.width = done === null ? "0" : `${done * 100}%`;
    while (ticks.children.length > prints.length) ticks.lastChild.remove();
    while (ticks.children.length < prints.length) ticks.append(el("i"));
    prints.forEach((at, index) => (ticks.children[index].style.left = `${at * 100}%`));
    const slow = call.ended === null && now - call.sent >= QUIET && !call.fast;
    setText(label, slow ? progressText(call, now, this.samples.get(call.id) ?? 0) : "");
    // Where there is more room: on the bar, or before it, never across its edge.
    const before = ran[0] > 0.5;
    label.style.left = before ? "" : `calc(${ran[0] * 100}% + 4px)`;
    label.style.right = before ? `calc(${(1 - ran[0]) * 100}% + 4px)` : "";
    describe(track, call, slow, done, label.textContent);
  }

  #stop(cell, call) {
    const runs = !call.fast && call.ended === null;
    const shows = runs && this.store.buttons ? "button" : runs ? "text" : "";
    if (cell.dataset.shows === shows) {
      if (shows === "button") /** @type {any} */ (cell.firstChild).disabled = Boolean(call.asked);
      return;
    }
    cell.dataset.shows = shows;
    const cancel = () => this.send({ type: "cancel", call: call.id });
    if (shows === "button") cell.replaceChildren(button("Cancel", cancel, { "aria-label": `Cancel call ${call.id}, ${call.name}` }));
    else cell.replaceChildren(shows === "text" ? "press I, I to stop" : "");
  }

  #pressed(key, call) {
    if (key !== "Delete" || call.fast || call.ended !== null) return false;
    this.send({ type: "cancel", call: call.id });
    return true;
  }
}

/**
 * @param {import("./store.js").Call} call
 * @param {number} now
 * @param {number} samples
 */
export function progressText(call, now, samples) {
  if (!call.done && !call.total) return "";
  const share = call.total ? ` ${Math.round((100 * (call.done ?? 0)) / call.total)} %` : "";
  const left = secondsLeft(call, now, samples);
  const rest = left === null ? "" : `, ${durationText(left)} left`;
  return `${call.description || "at"} ${call.done}${call.total ? `/${call.total}` : ""}${share}${rest}`;
}

function describe(track, call, slow, done, text) {
  if (!slow) {
    track.removeAttribute("role");
    for (const name of ["aria-valuenow", "aria-valuetext", "aria-label"]) track.removeAttribute(name);
    return;
  }
  track.setAttribute("role", "progressbar");
  track.setAttribute("aria-label", call.name);
  track.setAttribute("aria-valuetext", text || "running");
  if (done !== null) track.setAttribute("aria-valuenow", String(Math.round(done * 100)));
}

function place(element, [from, to]) {
  element.style.left = `${from * 100}%`;
  element.style.width = `${Math.max(0, to - from) * 100}%`;
}
