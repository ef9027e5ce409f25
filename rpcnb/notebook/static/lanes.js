// Where ribbons lie: as memory does, each at the lowest place that is free while it lives.  Pure.

/**
 * @typedef {{handle: number, from: number, to: number|null, offset: number, bytes: number}} Segment
 * A part of a ribbon: seconds from, to (null: until now), offset and bytes in height.
 */

/** Gives out stretches of a line, the lowest that fits. */
export class Allocator {
  constructor() {
    /** @type {[number, number][]} free stretches below `top`, ascending: start, size */ this.free = [];
    this.top = 0;
    this.peak = 0;
  }

  /** @param {number} size */
  take(size) {
    const index = this.free.findIndex((stretch) => stretch[1] >= size);
    if (index >= 0) {
      const stretch = this.free[index];
      const start = stretch[0];
      if (stretch[1] === size) this.free.splice(index, 1);
      else this.free[index] = [start + size, stretch[1] - size];
      return start;
    }
    const start = this.top;
    this.top += size;
    this.peak = Math.max(this.peak, this.top);
    return start;
  }

  /**
   * @param {number} start
   * @param {number} size
   */
  give(start, size) {
    let index = this.free.findIndex((stretch) => stretch[0] > start);
    if (index < 0) index = this.free.length;
    this.free.splice(index, 0, [start, size]);
    this.#join(index);
    if (index > 0) this.#join(index - 1);
    const last = this.free[this.free.length - 1];
    if (last && last[0] + last[1] === this.top) {
      this.top = last[0];
      this.free.pop();
    }
  }

  #join(index) {
    const next = this.free[index + 1];
    const here = this.free[index];
    if (next && here && here[0] + here[1] === next[0]) this.free.splice(index, 2, [here[0], here[1] + next[1]]);
  }
}

/**
 * Lay out the ribbons of handles.
 * @param {Iterable<import("./store.js").Handle>} handles
 */
export function layOut(handles) {
  const all = [...handles];
  const events = [];
  for (const handle of all) {
    handle.steps.forEach(([time, bytes], index) => {
      const next = handle.steps[index + 1];
      const end = next ? next[0] : handle.died;
      if (bytes > 0) events.push({ time, give: false, handle: handle.handle, bytes, end });
    });
  }
  const segments = [];
  const totals = [];
  const space = new Allocator();
  let total = 0;
  // What ends at a time makes room for what begins then: the heir of a buffer takes its place.
  const ends = [];
  for (const event of events) if (event.end !== null) ends.push({ ...event, time: event.end, give: true, begins: event });
  const inOrder = [...events, ...ends].sort((a, b) => a.time - b.time || Number(b.give) - Number(a.give));
  const placed = new Map();
  for (const event of inOrder) {
    if (event.give) {
      const segment = placed.get(event.begins);
      if (!segment) continue; // ended when it began
      space.give(segment.offset, segment.bytes);
      total -= event.bytes;
    } else {
      const segment = { handle: event.handle, from: event.time, to: event.end, offset: space.take(event.bytes), bytes: event.bytes };
      placed.set(event, segment);
      segments.push(segment);
      total += event.bytes;
    }
    totals.push([event.time, total]);
  }
  const empty = layOutEmpty(all.filter((handle) => !handle.steps.some((step) => step[1] > 0)));
  return { segments, totals, total, peak: space.peak, bands: all.length, empty: empty.lanes, lanes: empty.count };
}

/** Put handles without bytes (functions, objects) into as few lines as possible. */
function layOutEmpty(handles) {
  const until = [];
  const lanes = [...handles].sort((a, b) => a.born - b.born).map((handle) => {
    let lane = until.findIndex((time) => time <= handle.born);
    if (lane < 0) lane = until.length;
    until[lane] = handle.died ?? Infinity;
    return { handle: handle.handle, from: handle.born, to: handle.died, lane };
  });
  return { lanes, count: until.length };
}

/**
 * A scale of time that gives every cell the same width.
 * @param {Iterable<import("./store.js").Handle>} handles
 * @param {number} now
 * @returns {{cells: [number, number][], at: (time: number) => number}} cells with where they begin, 0 to 1
 */
export function cellScale(handles, now) {
  const first = new Map();
  for (const { cell, born } of handles) {
    if (cell !== null && !(first.get(cell) <= born)) first.set(cell, born);
  }
  const starts = [...first].sort((a, b) => a[1] - b[1]);
  const times = [...starts.map((start) => start[1]), now];
  const at = (time) => {
    if (!starts.length || time <= times[0]) return 0;
    let index = times.findIndex((start) => start > time) - 1;
    if (index < 0) index = times.length - 2;
    const share = (time - times[index]) / Math.max(times[index + 1] - times[index], 1e-9);
    return Math.min(1, (index + Math.min(1, share)) / starts.length);
  };
  return { cells: starts.map(([cell], index) => [cell, index / starts.length]), at };
}
