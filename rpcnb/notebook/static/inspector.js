// The array inspector: look at gigabytes, move kilobytes.

import { MAP_NAMES, valueOf } from "./colours.js";
import { button, el, keepKeys, onTheme, setText } from "./dom.js";
import { numberText, sizeText } from "./format.js";
import { Heatmap, SIDE } from "./heatmap.js";
import { Histogram } from "./histogram.js";
import { TileCache, changed, codeOf, tilesOf } from "./tiles.js";
import { ValueTable } from "./values.js";

const PLANES = ["mean", "max", "min"];
const FIGURES = ["min", "max", "mean", "std", "nan", "inf", "zero"];

/**
 * Show an inspector.
 * @param {{send: (message: object) => void, listen: (receive: (message: any, buffers: DataView[]) => void) => () => void}} channel
 * @param {HTMLElement} root
 * @param {number} handle
 * @returns {() => void} what takes it away
 */
export function showInspector(channel, root, handle) {
  const view = new InspectorView((message) => channel.send({ type: "inspector", handle, ...message }));
  root.append(view.element);
  keepKeys(view.element);
  const stop = channel.listen((message, buffers) => {
    if (message.type === "inspector" && Number(message.handle) === handle) view.receive(message, buffers);
  });
  view.send({ ask: "overview" });
  view.send({ ask: "figures" });
  const unlisten = onTheme(() => view.redraw());
  return () => {
    stop();
    unlisten();
  };
}

export class InspectorView {
  title = el("div", { class: "rx-title" }, "…");
  figures = el("table", { class: "rx-figures", "aria-label": "Figures" });
  cursor = el("div", { class: "rx-quiet", role: "status" });
  cost = el("div", { class: "rx-quiet" });
  code = el("code");
  problem = el("div", { class: "rx-error", role: "alert" });
  slices = el("div", { class: "rx-slices" });
  planes = choice("Reduction", PLANES, (name) => this.#setPlane(name));
  maps = choice("Colours", MAP_NAMES, (name) => this.#setMap(name));
  valuesButton = button("Values", () => this.#toggleValues(), { "aria-pressed": "false" });

  /** @param {(message: object) => void} send */
  constructor(send) {
    this.send = send;
    this.plane = "mean";
    this.moved = 0;
    this.pictures = 0;
    /** @type {any} */ this.array = null;
    /** @type {[number, number]} */ this.size = [1, 1];
    this.window = { r0: 0, r1: 1, c0: 0, c1: 1 };
    /** @type {any} */ this.whole = null;
    this.era = 0;
    /** @type {Map<number, any>} */ this.open = new Map();
    this.seq = 0;
    this.cache = new TileCache((tile) => this.#askTile(tile));
    this.heatmap = new Heatmap({ onkeydown: (event) => this.#pressed(event), onpointermove: (event) => this.#pointed(event),
      onpointerdown: (event) => this.#grabbed(event), ondblclick: (event) => this.#zoomAt(event) });
    this.histogram = new Histogram((range) => this.#setRange(range));
    this.table = new ValueTable();
    this.element = this.#build();
  }

  /** Put the parts together. */
  #build() {
    const zoom = (text, label, change) => button(text, () => this.#change(change), { "aria-label": label });
    const buttons = el("div", { class: "rx-tools", role: "group", "aria-label": "View" },
      zoom("+", "Zoom in", { factor: 0.5 }), zoom("−", "Zoom out", { factor: 2 }),
      button("Fit", () => this.#fit()), this.valuesButton);
    return el("section", { class: "rx-inspector", "aria-label": "Array inspector" }, this.title, this.problem,
      el("div", { class: "rx-columns" },
        el("div", {}, this.heatmap.canvas, buttons),
        el("div", { class: "rx-side" }, this.figures, this.histogram.element, this.planes, this.maps, this.slices)),
      this.cursor, this.table.element,
      el("div", { class: "rx-code" }, this.code, button("Copy", () => navigator.clipboard?.writeText(this.code.textContent ?? ""))),
      this.cost);
  }

  /**
   * @param {any} message
   * @param {DataView[]} buffers
   */
  receive(message, buffers) {
    const asked = this.open.get(message.seq);
    this.open.delete(message.seq);
    setText(this.problem, message.error ?? "");
    this.moved += message.moved ?? 0;
    if (message.error) {
      if (asked?.tile) this.cache.came(asked.tile.key, null);
    } else if (message.ask === "overview") this.#begin(message, buffers);
    else if (message.ask === "figures") this.#showFigures(message);
    else if (message.ask === "values") this.table.show(message);
    else if (asked && asked.era === this.era) this.#takePicture(asked, message, buffers);
    setText(this.cost, this.array ? `${sizeText(this.array.nbytes)} stay there, ${sizeText(this.moved)} moved` : "");
    this.element.dataset.moved = String(this.moved);
  }

  #begin(message, buffers) {
    this.array = { name: message.name, shape: message.shape, nbytes: message.nbytes };
    this.axes = message.axes;
    this.at = message.shape.map(() => 0);
    this.heatmap.range = message.clip;
    setText(this.title, message.what);
    this.#buildSlices();
    this.#measure();
    this.#takePicture({ whole: true }, message, buffers);
  }

  #measure() {
    const lengths = this.axes.map((axis) => this.array.shape[axis]);
    this.size = /** @type {[number, number]} */ ([lengths.length === 2 ? lengths[0] : 1, lengths.at(-1) ?? 1]);
    this.window = { r0: 0, r1: this.size[0], c0: 0, c1: this.size[1] };
  }

  #showFigures({ figures, sentence }) {
    setText(this.title, sentence);
    this.heatmap.canvas.setAttribute("aria-label", `${sentence}. Press v for a table of the values in view.`);
    const row = (name) => el("tr", {}, el("th", { scope: "row" }, name), el("td", {},
      figures[name] === null ? "–" : typeof figures[name] === "number" ? numberText(figures[name]) : String(figures[name])));
    this.figures.replaceChildren(...FIGURES.map(row));
    this.histogram.show(figures, this.heatmap.range);
  }

  #takePicture(asked, message, buffers) {
    const layers = Object.fromEntries(message.names.map((name, index) => [name, {
      codes: new Uint8Array(buffers[index].buffer, buffers[index].byteOffset, buffers[index].byteLength),
      size: message.size, clip: message.clip, ...(asked.tile ?? { r0: 0, r1: this.size[0], c0: 0, c1: this.size[1] }) }]));
    if (asked.whole) this.whole = { layers, marks: this.#marks(message) };
    else this.cache.came(asked.tile.key, layers[this.plane]);
    this.pictures += 1;
    this.#draw();
  }

  #marks({ marks, size }) {
    const place = (sign, places) => places.map(([row, column]) => ({ sign, row: ((row + 0.5) * this.size[0]) / size[0],
      column: ((column + 0.5) * this.size[1]) / size[1] }));
    return [...place("NaN", marks.nan), ...place("min", marks.min), ...place("max", marks.max)];
  }

  /** Paint again, in other colours. */
  redraw() {
    this.histogram.draw();
    this.#draw();
  }

  #draw() {
    const whole = this.whole?.layers[this.plane];
    if (!whole) return;
    const fits = this.#fits();
    const tiles = fits ? [] : tilesOf(this.window, this.size);
    this.cache.want(tiles);
    const layers = tiles.map((tile) => this.cache.kept.get(tile.key)).filter((layer) => layer !== undefined);
    this.heatmap.draw(this.window, [whole, ...layers], this.whole.marks);
    setText(this.code, codeOf(this.array.name, this.index()));
    Object.assign(this.element.dataset, { pictures: this.pictures, tiles: this.cache.asked, ready: layers.length === tiles.length });
    if (!this.table.element.hidden) this.#askValues();
  }

  #fits() {
    const { r0, r1, c0, c1 } = this.window;
    return r0 <= 0 && c0 <= 0 && r1 >= this.size[0] && c1 >= this.size[1];
  }

  /**
   * The index of a part: slices along the axes shown, numbers along the others.
   * @param {{r0: number, r1: number, c0: number, c1: number}} [part]
   */
  index(part = this.window) {
    const ends = [[Math.floor(part.r0), Math.ceil(part.r1)], [Math.floor(part.c0), Math.ceil(part.c1)]];
    return this.array.shape.map((_, axis) => {
      const place = this.axes.indexOf(axis);
      return place < 0 ? this.at[axis] : ends[this.axes.length === 2 ? place : 1];
    });
  }

  #ask(message, asked) {
    this.seq += 1;
    this.open.set(this.seq, { era: this.era, ...asked });
    this.send({ seq: this.seq, axes: this.axes, ...message });
  }

  #askTile(tile) {
    this.#ask({ ask: "look", index: this.index(tile), blocks: this.axes.length === 2 ? tile.blocks : [1, tile.blocks[1]],
      names: [this.plane], clip: this.whole.layers[this.plane].clip }, { tile });
  }

  #askWhole() {
    this.era += 1;
    this.cache.clear();
    this.#ask({ ask: "look", index: this.index({ r0: 0, r1: this.size[0], c0: 0, c1: this.size[1] }), blocks: null,
      names: [...PLANES], clip: null }, { whole: true });
  }

  #askValues() {
    const part = this.table.part(this.window, this.size);
    const index = this.index(part);
    const key = JSON.stringify(index);
    if (this.table.asked === key) return;
    this.table.asked = key;
    this.#ask({ ask: "values", index }, {});
  }

  #change(change) {
    this.window = changed(this.window, this.size, change);
    this.#draw();
  }

  #fit() {
    this.#change({ factor: Infinity });
  }

  #setPlane(name) {
    this.plane = name;
    this.era += 1;
    this.cache.clear();
    this.#draw();
  }

  #setMap(name) {
    this.heatmap.map = name;
    this.#draw();
  }

  #setRange(range) {
    this.heatmap.range = range;
    this.#draw();
  }

  #toggleValues() {
    const shown = this.table.element.hidden;
    this.table.element.hidden = !shown;
    this.valuesButton.setAttribute("aria-pressed", String(shown));
    this.table.asked = "";
    this.#draw();
  }

  #buildSlices() {
    const { shape } = this.array;
    this.slices.replaceChildren();
    if (shape.length < 3) return;
    const names = shape.map((_, axis) => `axis ${axis}`);
    this.axes.forEach((axis, place) => {
      const picker = choice(place ? "Across" : "Down", names, (name) => this.#setAxis(place, names.indexOf(name)), names[axis]);
      this.slices.append(picker);
    });
    shape.forEach((length, axis) => {
      if (this.axes.includes(axis)) return;
      const slider = el("input", { type: "range", min: 0, max: length - 1, value: this.at[axis], "aria-label": `index along axis ${axis}`,
        onchange: (event) => this.#setSlice(axis, Number(/** @type {any} */ (event.target).value)) });
      this.slices.append(el("label", {}, `axis ${axis} `, slider));
    });
  }

  #setAxis(place, axis) {
    const other = this.axes.indexOf(axis);
    if (other >= 0) this.axes[other] = this.axes[place];
    this.axes[place] = axis;
    this.#measure();
    this.#buildSlices();
    this.#askWhole();
  }

  #setSlice(axis, at) {
    this.at[axis] = Math.min(Math.max(at, 0), this.array.shape[axis] - 1);
    this.#buildSlices();
    this.#askWhole();
  }

  #pressed(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || !this.array) return;
    const tall = this.window.r1 - this.window.r0;
    const wide = this.window.c1 - this.window.c0;
    const step = (size) => (event.shiftKey ? 1 : size / 2);
    const free = this.array.shape.findIndex((_, axis) => !this.axes.includes(axis));
    const actions = {
      ArrowUp: () => this.#change({ down: -step(tall) }),
      ArrowDown: () => this.#change({ down: step(tall) }),
      ArrowLeft: () => this.#change({ right: -step(wide) }),
      ArrowRight: () => this.#change({ right: step(wide) }),
      "+": () => this.#change({ factor: 0.5 }),
      "=": () => this.#change({ factor: 0.5 }),
      "-": () => this.#change({ factor: 2 }),
      0: () => this.#fit(),
      "[": () => free >= 0 && this.#setSlice(free, this.at[free] - 1),
      "]": () => free >= 0 && this.#setSlice(free, this.at[free] + 1),
      n: () => this.#nextMark(),
      v: () => this.#toggleValues(),
      c: () => navigator.clipboard?.writeText(this.code.textContent ?? ""),
    };
    const action = /** @type {any} */ (actions)[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  /** Go to the next place that is marked, close by. */
  #nextMark() {
    const marks = this.whole.marks;
    if (!marks.length) return;
    this.mark = ((this.mark ?? -1) + 1) % marks.length;
    const { row, column } = marks[this.mark];
    const [tall, wide] = [Math.min(64, this.size[0]), Math.min(64, this.size[1])];
    this.window = changed({ r0: row - tall / 2, r1: row + tall / 2, c0: column - wide / 2, c1: column + wide / 2 }, this.size, {});
    this.#draw();
  }

  #place(event) {
    const { r0, r1, c0, c1 } = this.window;
    return [r0 + (event.offsetY / SIDE) * (r1 - r0), c0 + (event.offsetX / SIDE) * (c1 - c0)];
  }

  #zoomAt(event) {
    this.#change({ factor: event.shiftKey ? 2 : 0.5, at: [event.offsetY / SIDE, event.offsetX / SIDE] });
  }

  #grabbed(event) {
    this.grab = { x: event.clientX, y: event.clientY, window: this.window };
    this.heatmap.canvas.setPointerCapture(event.pointerId);
    this.heatmap.canvas.onpointerup = () => (this.grab = null);
  }

  #pointed(event) {
    if (this.grab) {
      const { window, x, y } = this.grab;
      const down = ((y - event.clientY) / SIDE) * (window.r1 - window.r0);
      const right = ((x - event.clientX) / SIDE) * (window.c1 - window.c0);
      this.window = changed(window, this.size, { down, right });
      this.#draw();
      return;
    }
    const [row, column] = this.#place(event);
    const layer = this.#layerAt(row, column);
    if (!layer) return;
    const i = Math.floor(((row - layer.r0) / (layer.r1 - layer.r0)) * layer.size[0]);
    const j = Math.floor(((column - layer.c0) / (layer.c1 - layer.c0)) * layer.size[1]);
    const code = layer.codes[i * layer.size[1] + j];
    const sign = code === 1 ? "< " : code === 255 ? "> " : "≈ ";
    const name = codeOf(this.array.name, this.index({ r0: row, r1: row, c0: column, c1: column })
      .map((item) => (Array.isArray(item) ? item[0] : item)));
    setText(this.cursor, `${name} ${code ? sign : ""}${numberText(valueOf(code, layer.clip))} (${this.plane} of its block)`);
  }

  #layerAt(row, column) {
    const inside = (layer) => row >= layer.r0 && row < layer.r1 && column >= layer.c0 && column < layer.c1;
    const tiles = this.#fits() ? [] : tilesOf(this.window, this.size).map((tile) => this.cache.kept.get(tile.key));
    return tiles.find((layer) => layer && inside(layer)) ?? this.whole?.layers[this.plane];
  }
}

function choice(label, names, onchoice, chosen = names[0]) {
  const options = names.map((name) => el("option", { value: name, ...(name === chosen ? { selected: "" } : {}) }, name));
  const select = el("select", { "aria-label": label, onchange: (event) => onchoice(/** @type {any} */ (event.target).value) }, ...options);
  return el("label", { class: "rx-choice" }, `${label} `, select);
}
