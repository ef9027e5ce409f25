// One call: its row of the waterfall, what it prints, and the line of code that stops it.

import { CallView } from "./calls.js";
import { el, keepKeys, setText } from "./dom.js";
import { codeLine, whileSeen } from "./panel.js";
import { Store } from "./store.js";

/**
 * Show a call.
 * @param {any} model
 * @param {HTMLElement} root
 * @returns {() => void} what takes it away
 */
export function showCall(model, root) {
  const store = new Store();
  const calls = new CallView(store, (message) => model.send(message));
  const output = el("pre", { class: "rx-output", tabindex: 0, role: "log", "aria-label": "Output" });
  output.hidden = true;
  const code = codeLine(store);
  root.classList.add("rx-root");
  root.append(calls.element, output, code.element);
  keepKeys(root);
  const receive = (/** @type {any} */ message) => {
    const changed = store.apply(message);
    if (changed.has("calls")) calls.update();
    if (changed.has("code")) code.update();
    if (message.output === undefined) return;
    setText(output, message.output);
    output.hidden = !message.output;
    output.scrollTop = output.scrollHeight;
  };
  model.on("msg:custom", receive);
  const ticking = setInterval(() => calls.tick(), 100);
  const stop = whileSeen(root, model);
  return () => {
    model.off("msg:custom", receive);
    clearInterval(ticking);
    stop();
  };
}
