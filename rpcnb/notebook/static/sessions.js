// The session bar, and the table of all sessions of this kernel.

import { button, el, setText } from "./dom.js";
import { countText, durationText, sizeText } from "./format.js";

const STATE_SIGNS = { live: "●", busy: "◐", suspect: "◌", detached: "◌", lost: "✕", died: "✕", closed: "○" };

export class SessionBar {
  /**
   * @param {import("./store.js").Store} store
   * @param {(message: object) => void} send
   */
  constructor(store, send) {
    this.store = store;
    this.facts = ["state", "name", "url", "rtt", "handles", "bytes", "running", "moved"].map((name) =>
      el("span", { class: `rx-fact rx-fact-${name}` }));
    const facts = el("div", { class: "rx-facts" }, ...this.facts);
    this.disconnect = button("Disconnect", () => send({ type: "disconnect" }));
    this.detach = button("Detach", () => send({ type: "detach" }), { title: "leave the session as it is, to take it up again by its name" });
    const measure = button("Measure", () => send({ type: "ping" }), { title: "measure the time of a round trip" });
    this.quotas = el("div", { class: "rx-quotas rx-quiet", role: "note", "aria-label": "Quotas" });
    this.element = el("div", { class: "rx-bar", role: "group", "aria-label": "Session" }, facts,
      el("div", { class: "rx-buttons" }, measure, this.detach, this.disconnect), this.quotas);
  }

  update() {
    const session = this.store.session;
    if (!session) return;
    const texts = {
      state: `${STATE_SIGNS[session.state] ?? "?"} ${session.state}`,
      name: session.name,
      url: session.hops.length > 1 ? session.hops.map(hopText).join(" → ") : session.url,
      rtt: session.rtt === null ? "" : `rtt ${durationText(session.rtt)}`,
      handles: countText(session.handles, "handle"),
      bytes: sizeText(session.nbytes),
      running: session.running ? `${session.running} running` : "",
      moved: session.sent === null ? "" : `${sizeText(session.sent + session.received)} moved`,
    };
    Object.values(texts).forEach((text, index) => {
      setText(this.facts[index], text);
      this.facts[index].hidden = !text;
    });
    setText(this.quotas, session.quotas.map(quotaText).join(" · "));
    this.quotas.hidden = !session.quotas.length;
    this.facts[0].dataset.state = session.state;
    this.facts[5].title = `${session.nbytes.toLocaleString("en-US")} bytes held over there`;
    const over = ["closed", "lost", "died"].includes(session.state);
    for (const each of [this.detach, this.disconnect]) /** @type {any} */ (each).disabled = over;
  }
}

export class SessionTable {
  /**
   * @param {import("./store.js").Store} store
   * @param {(message: object) => void} send
   */
  constructor(store, send) {
    this.store = store;
    this.send = send;
    this.rows = el("tbody");
    const head = ["Index", "Name", "State", "Chain", "Handles", "Bytes", "Calls", ""].map((title, index) =>
      el("th", { scope: "col", class: index > 3 ? "rx-number" : null }, title));
    this.table = el("table", { class: "rx-sessions", "aria-label": "Sessions" },
      el("thead", {}, el("tr", {}, ...head)), this.rows);
    this.empty = el("div", { class: "rx-quiet" }, "no session is open");
    this.element = el("div", {}, this.empty, this.table);
  }

  update() {
    const known = this.store.sessions;
    this.empty.hidden = known.length > 0;
    this.table.hidden = known.length === 0;
    while (this.rows.children.length > known.length) this.rows.lastElementChild?.remove();
    while (this.rows.children.length < known.length) this.rows.append(this.#makeRow());
    known.forEach((session, index) => this.#fill(/** @type {any} */ (this.rows.children[index]), session));
  }

  #makeRow() {
    const row = el("tr", {}, ...Array.from({ length: 7 }, (_, index) => el("td", { class: index > 3 ? "rx-number" : null })));
    const close = button("Disconnect", () => this.send({ type: "disconnect", index: Number(row.dataset.index) }));
    row.append(el("td", {}, close));
    return row;
  }

  #fill(row, session) {
    row.dataset.index = session.index;
    const texts = [session.index, session.name, `${STATE_SIGNS[session.state] ?? "?"} ${session.state}`,
      chainText(session), session.handles, sizeText(session.nbytes), session.calls];
    texts.forEach((text, index) => setText(row.children[index], String(text)));
    row.children[1].title = session.name;
    row.lastElementChild.firstElementChild.setAttribute("aria-label", `Disconnect ${session.name}`);
  }
}

/**
 * Write how much of something a session has of what it may have: "memory 12.0 MiB of 1.95 GiB".
 * @param {{name: string, most: number, used: number | null, size: boolean}} quota
 */
export function quotaText({ name, most, used, size }) {
  const text = (/** @type {number} */ number) => size ? sizeText(number) : number.toLocaleString("en-US");
  if (!most) return `${name} ${used === null ? "" : `${text(used)}, `}without bound`;
  return used === null ? `${name} at most ${text(most)}` : `${name} ${text(used)} of ${text(most)}`;
}

/**
 * @typedef {{name: string, address: string, rtt: number}} Hop
 */

/**
 * Write one server on the way: what it is called, where it is, how far from the one before.
 * @param {Hop} hop
 */
export function hopText({ name, address, rtt }) {
  return `${name === address ? "" : `${name} `}${address} (${durationText(rtt)})`;
}

/**
 * Write the way to a session, hop by hop; only its beginning where nobody has asked for the rest.
 * @param {{url: string, hops: Hop[]}} session
 */
export function chainText({ url, hops }) {
  return ["this kernel", ...(hops.length ? hops.map(hopText) : [url])].join(" → ");
}
