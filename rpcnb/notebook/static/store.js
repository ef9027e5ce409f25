// What a panel shows, kept up to date by the kernel's messages.  Pure but for the clock.

/**
 * @typedef {{id: number, name?: string, phase?: string, sent: number, started?: number|null,
 *   ended: number|null, done?: number, total?: number|null, description?: string, detail?: string,
 *   prints?: number[], asked?: boolean, fast?: number, median?: number}} Call
 * @typedef {{handle: number, kind: string, summary: string, nbytes: number, base: number, born: number,
 *   died: number|null, lost: boolean, cell: number|null, line: number|null,
 *   steps: [number, number][]}} Handle
 */

export class Store {
  /** @param {() => number} [clock] seconds */
  constructor(clock = () => performance.now() / 1000) {
    this.clock = clock;
    this.offset = 0;
    /** @type {any} */ this.session = null;
    /** @type {any[]} */ this.sessions = [];
    /** @type {Map<number, Call>} */ this.calls = new Map();
    /** @type {Map<number, Handle>} */ this.handles = new Map();
    /** @type {Record<string, string[]>} */ this.held = {};
    /** @type {Map<number, string[]>} */ this.why = new Map();
    this.buttons = false;
    this.code = "";
    this.error = "";
    this.handlesVersion = 0;
  }

  /** Seconds on the kernel's clock, now. */
  now() {
    return this.clock() + this.offset;
  }

  /**
   * Take a message in; tell what changed.
   * @param {any} message
   * @returns {Set<string>}
   */
  apply(message) {
    const changed = new Set();
    if (message.type === "snapshot") {
      this.calls.clear();
      this.handles.clear();
    }
    if (typeof message.now === "number") this.offset = message.now - this.clock();
    if ("buttons" in message && message.buttons !== this.buttons) {
      this.buttons = message.buttons;
      changed.add("calls");
    }
    for (const key of ["session", "sessions", "held"]) {
      if (key in message) {
        /** @type {any} */ (this)[key] = message[key];
        changed.add(key);
      }
    }
    for (const call of message.calls ?? []) this.calls.set(call.id, call);
    for (const id of message.gone ?? []) this.calls.delete(id);
    for (const handle of message.handles ?? []) this.handles.set(handle.handle, handle);
    for (const id of message.buried ?? []) {
      this.handles.delete(id);
      this.why.delete(id);
    }
    if (message.calls || message.gone) changed.add("calls");
    if (message.handles) {
      changed.add("handles");
      this.handlesVersion += 1;
    }
    if (message.type === "why") {
      this.why.set(message.handle, message.held);
      changed.add("held");
    }
    if (message.type === "code") {
      this.code = message.code;
      this.error = message.error ?? "";
      changed.add("code");
    }
    return changed;
  }

  /** Calls that run. */
  running() {
    return [...this.calls.values()].filter((call) => call.ended === null);
  }
}
