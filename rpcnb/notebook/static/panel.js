// The panel of one session: bar, handles, ribbons, calls, and the line of code that says the same.

import { CallView } from "./calls.js";
import { button, el, keepKeys, onTheme, setText } from "./dom.js";
import { HandleView } from "./handles.js";
import { RibbonView } from "./ribbons.js";
import { showInspector } from "./inspector.js";
import { SessionBar, SessionTable } from "./sessions.js";
import { Store } from "./store.js";

const TICK = 100; // milliseconds between two looks at what runs
const SLOW = 10; // ticks between two looks at what only grows older

/** @type {WeakMap<object, Store>} */
const STORES = new WeakMap();

/**
 * A model's messages, for views that are part of others.
 * @param {any} model
 */
export function channelOf(model) {
  return {
    send: (/** @type {object} */ message) => model.send(message),
    listen: (/** @type {(message: any, buffers: DataView[]) => void} */ receive) => {
      model.on("msg:custom", receive);
      return () => model.off("msg:custom", receive);
    },
  };
}

/**
 * Show a panel.
 * @param {any} model
 * @param {HTMLElement} root
 * @returns {() => void} what takes it away
 */
export function showPanel(model, root) {
  const store = STORES.get(model) ?? new Store();
  STORES.set(model, store);
  const send = (/** @type {object} */ message) => model.send(message);
  const look = el("div", { class: "rx-look" });
  let endLook = () => {};
  const handles = new HandleView(store, send, (handle) => {
    endLook();
    look.replaceChildren();
    endLook = showInspector(channelOf(model), look, handle);
    const close = button("Close", () => {
      endLook();
      look.replaceChildren();
      handles.grid.focusKey(handle);
    });
    look.append(close);
    close.focus();
  });
  const views = {
    session: new SessionBar(store, send),
    handles,
    ribbons: new RibbonView(store, (handle) => {
      showCell(root, store.handles.get(handle)?.cell);
      handles.grid.focusKey(handle);
    }),
    calls: new CallView(store, send),
    sessions: new SessionTable(store, send),
  };
  const code = codeLine(store);
  root.classList.add("rx-root");
  root.append(views.session.element, section("Handles", handles.element, look),
    section("Lifetimes", views.ribbons.element), section("Calls", views.calls.element),
    section("Sessions", views.sessions.element), code.element);
  keepKeys(root);

  let waiting = new Set();
  const draw = () => {
    const changed = waiting;
    waiting = new Set();
    if (changed.has("session")) views.session.update();
    if (["handles", "held", "session"].some((name) => changed.has(name))) handles.update();
    // In a frame of their own: thousands of them take as long as all the rest.
    if (changed.has("handles")) requestAnimationFrame(() => timed(root, () => views.ribbons.update()));
    if (changed.has("calls")) views.calls.update();
    if (changed.has("sessions")) views.sessions.update();
    if (changed.has("code")) code.update();
  };
  const receive = (/** @type {any} */ message) => {
    const changed = store.apply(message);
    if (changed.size && !waiting.size) requestAnimationFrame(() => timed(root, draw));
    for (const name of changed) waiting.add(name);
  };
  model.on("msg:custom", receive);
  let ticks = 0;
  const ticking = setInterval(() => {
    views.calls.tick();
    ticks += 1;
    if (ticks % SLOW) return;
    handles.grid.draw();
    views.ribbons.draw();
  }, TICK);
  const stop = whileSeen(root, model);
  const unlisten = onTheme(() => views.ribbons.draw());
  return () => {
    unlisten();
    model.off("msg:custom", receive);
    clearInterval(ticking);
    stop();
    endLook();
  };
}

/**
 * Do something, and leave the milliseconds it took where tests watch them.
 * @param {HTMLElement} root
 * @param {() => void} work
 */
function timed(root, work) {
  const began = performance.now();
  work();
  root.dataset.took = (performance.now() - began).toFixed(1);
}

/**
 * Tell the kernel when somebody sees this, and when nobody does any more.
 * @param {HTMLElement} root
 * @param {any} model
 */
export function whileSeen(root, model) {
  const view = Math.random().toString(36).slice(2);
  let shown = false;
  let inside = true;
  const tell = () => {
    const seen = inside && !document.hidden;
    if (seen !== shown) model.send({ type: seen ? "show" : "hide", view });
    shown = seen;
  };
  const observer = new IntersectionObserver((entries) => {
    inside = entries[entries.length - 1].isIntersecting;
    tell();
  });
  observer.observe(root);
  document.addEventListener("visibilitychange", tell);
  tell();
  model.send({ type: "ping" }); // the time of a round trip, and who is at the end of a chain
  // The first message may go out before the front end has a subshell for it: ask once more.
  const again = setTimeout(() => shown && model.send({ type: "show", view }), 1000);
  return () => {
    clearTimeout(again);
    observer.disconnect();
    document.removeEventListener("visibilitychange", tell);
    if (shown) model.send({ type: "hide", view });
  };
}

/**
 * Bring the cell that made something into view, for a moment marked.
 * @param {HTMLElement} root
 * @param {number|null|undefined} cell
 */
function showCell(root, cell) {
  const prompts = root.ownerDocument.querySelectorAll(".jp-InputArea-prompt");
  const prompt = [...prompts].find((found) => found.textContent?.trim() === `[${cell}]:`);
  const input = prompt?.closest(".jp-Cell");
  if (!input) return;
  input.scrollIntoView({ block: "nearest" });
  input.classList.add("rx-flash");
  setTimeout(() => input.classList.remove("rx-flash"), 1500);
}

function section(title, ...children) {
  return el("details", { class: "rx-section", open: "" }, el("summary", { tabindex: 0 }, title), ...children);
}

/**
 * The line that says in code what was clicked.
 * @param {Store} store
 */
export function codeLine(store) {
  const text = el("code");
  const copy = button("Copy", () => navigator.clipboard?.writeText(store.code));
  const element = el("div", { class: "rx-code", role: "status" }, text, copy);
  element.hidden = true;
  const update = () => {
    setText(text, store.error || store.code);
    element.classList.toggle("rx-error", Boolean(store.error));
    copy.hidden = !store.code;
    element.hidden = !(store.code || store.error);
  };
  return { element, update };
}
