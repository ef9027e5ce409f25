// What the widget loads: one module, which view it shows says the model.

import { showPanel } from "./panel.js";

const VIEWS = { panel: showPanel };

export default {
  /** @param {{model: any, el: HTMLElement}} context */
  render({ model, el: root }) {
    return VIEWS[model.get("view")](model, root);
  },
};
