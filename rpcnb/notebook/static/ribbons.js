// Lifetimes: one ribbon for each handle there ever was, as high as its bytes, as long as its life.

import { button, colour, el, setText } from "./dom.js";
import { countText, durationText, sizeText } from "./format.js";
import { cellScale, layOut } from "./lanes.js";

const TALL = 180; // pixels
const STRIP = 3; // pixels of a handle without bytes
const STRIPS = 8;
const MARKS = 300; // events beyond which no signs are drawn
const HUES = ["#3b7dd8", "#c2611a", "#1f8a70", "#9a5fc9", "#c94f7c", "#7d7d1e"]; // 3:1 on white and on black

export class RibbonView {
  /**
   * @param {import("./store.js").Store} store
   * @param {(handle: number) => void} pick
   */
  constructor(store, pick) {
    this.store = store;
    this.pick = pick;
    this.byCells = false;
    this.picked = -1;
    this.version = -1;
    this.layout = layOut([]);
    /** @type {{x: number, y: number, width: number, height: number, handle: number}[]} */ this.boxes = [];
    this.canvas = /** @type {HTMLCanvasElement} */ (el("canvas", { class: "rx-ribbons", tabindex: 0, role: "img",
      onclick: (event) => this.#clicked(event), onkeydown: (event) => this.#pressed(event),
      onpointermove: (event) => this.#pointed(event) }));
    this.peak = el("span", { class: "rx-peak" });
    this.start = el("span");
    this.caption = el("span", { class: "rx-quiet" });
    this.toggle = button("By cells", () => this.#switch(), { "aria-pressed": "false" });
    this.element = el("section", { class: "rx-lifetimes", "aria-label": "Lifetimes" },
      el("div", { class: "rx-plot" }, this.canvas, this.peak), el("div", { class: "rx-scale" }, this.start, el("span", {}, "now")),
      el("div", { class: "rx-legend" }, this.toggle, this.caption));
    new ResizeObserver(() => this.draw()).observe(this.canvas);
  }

  update() {
    if (this.version === this.store.handlesVersion) return;
    this.version = this.store.handlesVersion;
    this.layout = layOut(this.store.handles.values());
    const folded = this.store.session?.folded ?? 0;
    this.canvas.dataset.bands = String(this.layout.bands + folded);
    this.canvas.dataset.bytes = String(this.layout.total);
    const more = folded ? `, the oldest ${folded} not drawn` : "";
    setText(this.caption, `${countText(this.layout.bands + folded, "handle")} ever made${more}; ▲ made ▼ freed ✕ lost`);
    this.canvas.setAttribute("aria-label", `Lifetimes of ${countText(this.layout.bands + folded, "handle")}; `
      + `${sizeText(this.layout.total)} held now, ${sizeText(this.layout.peak)} at most. The table of handles lists those alive.`);
    this.draw();
  }

  /** Draw it all: a few thousand rectangles take some milliseconds. */
  draw() {
    const width = this.canvas.clientWidth;
    if (!width) return;
    const ratio = window.devicePixelRatio || 1;
    this.canvas.width = width * ratio;
    this.canvas.height = TALL * ratio;
    const context = /** @type {CanvasRenderingContext2D} */ (this.canvas.getContext("2d"));
    context.scale(ratio, ratio);
    context.fillStyle = colour(this.canvas, "background-color");
    const { x, from } = this.#scale(width);
    const strips = Math.min(this.layout.lanes, STRIPS) * STRIP;
    const room = this.byCells ? 18 : 6; // above all: the numbers of cells
    const unit = (TALL - strips - room) / Math.max(this.layout.peak, 1);
    this.boxes = [];
    this.#drawCells(context, width);
    for (const segment of this.layout.segments) {
      const height = Math.max(segment.bytes * unit, 0.5);
      this.#band(context, segment, x, TALL - strips - (segment.offset + segment.bytes) * unit, height);
    }
    for (const band of this.layout.empty) this.#band(context, band, x, TALL - STRIP * (1 + (band.lane % STRIPS)), STRIP - 1);
    this.#drawTotal(context, x, unit, TALL - strips);
    this.#drawMarks(context);
    setText(this.peak, this.layout.peak ? sizeText(this.layout.peak) : "");
    setText(this.start, this.byCells ? "" : `− ${durationText(this.store.now() - from)}`);
  }

  #scale(width) {
    const now = this.store.now();
    if (this.byCells) {
      const { at } = cellScale(this.store.handles.values(), now);
      return { x: (time) => at(time) * width, from: now };
    }
    let from = now;
    for (const handle of this.store.handles.values()) from = Math.min(from, handle.born);
    return { x: (time) => ((time - from) / Math.max(now - from, 1e-3)) * width, from };
  }

  #band(context, band, x, y, height) {
    const left = x(band.from);
    const width = Math.max(2, x(band.to ?? this.store.now()) - left);
    context.fillStyle = HUES[band.handle % HUES.length];
    context.fillRect(left, y, width, height > 3 ? height - 1 : height);
    if (band.handle === this.picked) {
      context.strokeStyle = colour(this.canvas, "color");
      context.lineWidth = 2;
      context.strokeRect(left + 1, y, width - 2, height);
    }
    this.boxes.push({ x: left, y, width, height, handle: band.handle });
  }

  #drawTotal(context, x, unit, bottom) {
    context.strokeStyle = colour(this.canvas, "color");
    context.lineWidth = 1;
    context.beginPath();
    let last = bottom;
    for (const [time, total] of this.layout.totals) {
      context.lineTo(x(time), last);
      last = bottom - total * unit;
      context.lineTo(x(time), last);
    }
    context.lineTo(x(this.store.now()), last);
    context.stroke();
  }

  #drawCells(context, width) {
    if (!this.byCells) return;
    context.fillStyle = context.strokeStyle = colour(this.canvas, "color");
    context.globalAlpha = 0.6;
    context.font = `11px ${colour(this.canvas, "font-family")}`;
    for (const [cell, at] of cellScale(this.store.handles.values(), this.store.now()).cells) {
      context.fillRect(at * width, 0, 1, TALL);
      context.fillText(`[${cell}]`, at * width + 3, 11);
    }
    context.globalAlpha = 1;
  }

  #drawMarks(context) {
    if (this.boxes.length > MARKS) return;
    context.fillStyle = colour(this.canvas, "color");
    context.font = "9px sans-serif";
    for (const box of this.boxes) {
      const handle = this.store.handles.get(box.handle);
      if (!handle || box.height < 9) continue;
      context.fillText("▲", box.x + 1, box.y + box.height - 2);
      if (handle.died !== null) context.fillText(handle.lost ? "✕" : "▼", box.x + box.width - 9, box.y + 9);
    }
  }

  #switch() {
    this.byCells = !this.byCells;
    this.toggle.setAttribute("aria-pressed", String(this.byCells));
    this.draw();
  }

  #boxAt(event) {
    const { offsetX, offsetY } = event;
    return this.boxes.find((box) => offsetX >= box.x && offsetX <= box.x + box.width
      && offsetY >= box.y - 1 && offsetY <= box.y + box.height + 1);
  }

  #clicked(event) {
    const box = this.#boxAt(event);
    if (!box) return;
    this.picked = box.handle;
    this.draw();
    this.pick(box.handle);
  }

  #pointed(event) {
    const handle = this.store.handles.get(this.#boxAt(event)?.handle ?? -1);
    this.canvas.title = handle ? describeLife(handle, this.store.now()) : "";
  }

  #pressed(event) {
    const order = [...this.store.handles.keys()];
    const here = order.indexOf(this.picked);
    const step = { ArrowRight: 1, ArrowDown: 1, ArrowLeft: -1, ArrowUp: -1 }[event.key];
    if (step !== undefined && order.length) {
      this.picked = order[Math.min(order.length - 1, Math.max(0, here + step))];
      const handle = this.store.handles.get(this.picked);
      setText(this.caption, handle ? describeLife(handle, this.store.now()) : "");
      this.draw();
    } else if (event.key === "Enter" && here >= 0) {
      this.pick(this.picked);
    } else {
      return;
    }
    event.preventDefault();
  }
}

/**
 * Tell the life of a handle in a line.
 * @param {import("./store.js").Handle} handle
 * @param {number} now
 */
export function describeLife(handle, now) {
  const size = handle.nbytes ? `, ${sizeText(handle.nbytes)}` : "";
  const made = handle.cell === null ? "" : `, made in [${handle.cell}]:${handle.line}`;
  const end = handle.died === null ? "alive" : handle.lost ? "lost" : "freed";
  return `handle ${handle.handle}: ${handle.kind} ${handle.summary}${size}${made}, `
    + `${end} after ${durationText((handle.died ?? now) - handle.born)}`;
}
