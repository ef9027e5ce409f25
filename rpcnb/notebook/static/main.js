// What the widget loads: one module, which view it shows says the model.

import { showCall } from "./call.js";
import { onGone } from "./dom.js";
import { showInspector } from "./inspector.js";
import { channelOf, showPanel } from "./panel.js";

const VIEWS = {
  call: showCall,
  panel: showPanel,
  inspector: (/** @type {any} */ model, /** @type {HTMLElement} */ root) => {
    root.classList.add("rx-root");
    return showInspector(channelOf(model), root, model.get("handle"));
  },
};

export default {
  /** @param {{model: any, el: HTMLElement}} context */
  render({ model, el: root }) {
    const end = VIEWS[model.get("view")](model, root);
    const unwatch = onGone(model, root);
    return () => {
      unwatch();
      end();
    };
  },
};
