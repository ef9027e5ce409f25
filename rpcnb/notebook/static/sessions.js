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
    this.disconnect = button("Disconnect", () => send({ type: "disconnect" }));
    this.detach = button("Detach", () => send({ type: "detach" }), { title: "leave the session as it is, to take it up again by its name" });
    this.element = el("div", { class: "rx-bar", role: "group", "aria-label": "Session" }, ...this.facts,
      button("Measure", () => send({ type: "ping" }), { title: "measure the time of a round trip" }), this.detach, this.disconnect);
  }

  update() {
    const session = this.store.session;
    if (!session) return;
    const texts = {
      state: `${STATE_SIGNS[session.state] ?? "?"} ${session.state}`,
      name: session.name,
      url: session.url,
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
    const head = ["Index", "Name", "State", "Chain", "Handles", "Bytes", "Calls", ""].map((title) =>
      el("th", { scope: "col" }, title));
    this.element = el("table", { class: "rx-sessions", "aria-label": "Sessions" },
      el("thead", {}, el("tr", {}, ...head)), this.rows);
  }

  update() {
    const known = this.store.sessions;
    while (this.rows.children.length > known.length) this.rows.lastElementChild?.remove();
    while (this.rows.children.length < known.length) this.rows.append(this.#makeRow());
    known.forEach((session, index) => this.#fill(/** @type {any} */ (this.rows.children[index]), session));
  }

  #makeRow() {
    const row = el("tr", {}, ...Array.from({ length: 7 }, () => el("td")));
    const close = button("Disconnect", () => this.send({ type: "disconnect", index: Number(row.dataset.index) }));
    row.append(el("td", {}, close));
    return row;
  }

  #fill(row, session) {
    row.dataset.index = session.index;
    const texts = [session.index, session.name, `${STATE_SIGNS[session.state] ?? "?"} ${session.state}`,
      chainText(session.index === this.store.session?.index ? this.store.session : session), session.handles, sizeText(session.nbytes), session.calls];
    texts.forEach((text, index) => setText(row.children[index], String(text)));
    row.lastElementChild.firstElementChild.setAttribute("aria-label", `Disconnect ${session.name}`);
  }
}

/**
 * Write the way to a session, hop by hop.
 * @param {{url: string, hops?: string[]}} session
 */
export function chainText(session) {
  return ["this kernel", session.url, ...(session.hops ?? [])].join(" → ");
}
