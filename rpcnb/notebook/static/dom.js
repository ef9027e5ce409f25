// Elements.  Text from elsewhere enters the page by textContent and by nothing else.

/**
 * Make an element.
 * @param {string} name
 * @param {Record<string, unknown>} [attributes] `class`, `on…` listeners, or attributes; null leaves one out
 * @param {...(Node|string|number|null|undefined)} children
 * @returns {HTMLElement}
 */
export function el(name, attributes = {}, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined) continue;
    if (key.startsWith("on")) element.addEventListener(key.slice(2), /** @type {any} */ (value));
    else element.setAttribute(key, String(value));
  }
  if (["button", "input", "select", "canvas"].includes(name) || "tabindex" in attributes) suppress(element);
  for (const child of children) {
    if (child !== null && child !== undefined) element.append(/** @type {any} */ (child));
  }
  return element;
}

/**
 * Keep a focused element's letters from the notebook, where "b" would insert a cell.  JupyterLab
 * matches its key bindings against the focused element itself: an ancestor's attribute does nothing.
 * @param {HTMLElement} element
 */
export function suppress(element) {
  element.setAttribute("data-lm-suppress-shortcuts", "true");
}

/**
 * Make a button that is named by its text, or by more where the text says too little.
 * @param {string} text
 * @param {() => void} onclick
 * @param {Record<string, unknown>} [attributes]
 */
export function button(text, onclick, attributes = {}) {
  return el("button", { type: "button", class: "rx-button", onclick, ...attributes }, text);
}

/**
 * Set an element's text if it is another one: untouched nodes keep selections and cost no layout.
 * @param {HTMLElement} element
 * @param {string} text
 */
export function setText(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/**
 * Let no plain key leave a view; combinations and Escape go through.
 * @param {HTMLElement} root
 */
export function keepKeys(root) {
  for (const type of ["keydown", "keypress", "keyup"]) {
    root.addEventListener(type, (event) => {
      const key = /** @type {KeyboardEvent} */ (event);
      if (!key.ctrlKey && !key.metaKey && !key.altKey && key.key !== "Escape") key.stopPropagation();
    });
  }
}

/**
 * Call back when the theme changes: canvases do not follow by themselves.
 * @param {() => void} redraw
 * @returns {() => void} what ends it
 */
export function onTheme(redraw) {
  const observer = new MutationObserver(() => requestAnimationFrame(redraw));
  observer.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name", "class"] });
  const dark = window.matchMedia("(prefers-color-scheme: dark)");
  dark.addEventListener("change", redraw);
  return () => {
    observer.disconnect();
    dark.removeEventListener("change", redraw);
  };
}

/**
 * Read a colour of the theme, for canvases, which know no CSS variables.
 * @param {HTMLElement} element
 * @param {string} name
 */
export function colour(element, name) {
  return getComputedStyle(element).getPropertyValue(name).trim();
}

/**
 * Say so when the kernel behind a view has gone: nothing in it works any more.
 * @param {any} model
 * @param {HTMLElement} root
 * @returns {() => void} what ends it
 */
export function onGone(model, root) {
  const tell = () => {
    if (root.inert) return;
    root.prepend(el("div", { class: "rx-gone", role: "status" }, "✕ the kernel has gone; this is how it was. Run the cell again for a live view."));
    root.inert = true;
  };
  model.on("comm_live_update", tell);
  return () => model.off("comm_live_update", tell);
}
