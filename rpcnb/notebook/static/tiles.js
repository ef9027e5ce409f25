// Which pieces of an array to ask for, and what is known of it already.  Pure.

export const TILE = 128; // blocks in each direction
const KEPT = 64;
const IN_FLIGHT = 2;

/**
 * @typedef {{r0: number, r1: number, c0: number, c1: number}} Window rows and columns that are shown
 * @typedef {{key: string, blocks: [number, number], r0: number, r1: number, c0: number, c1: number}} Tile
 */

/**
 * Elements of a block along one direction, so that at most 256 of them are shown.
 * @param {number} span elements shown
 */
export function blockSize(span) {
  return 2 ** Math.max(0, Math.ceil(Math.log2(Math.max(span, 1) / 256)));
}

/**
 * The tiles that a window needs.
 * @param {Window} window
 * @param {[number, number]} size rows and columns of all
 * @returns {Tile[]}
 */
export function tilesOf(window, size) {
  const blocks = /** @type {[number, number]} */ ([blockSize(window.r1 - window.r0), blockSize(window.c1 - window.c0)]);
  const [tall, wide] = [TILE * blocks[0], TILE * blocks[1]];
  const tiles = [];
  for (let i = Math.floor(Math.max(0, window.r0) / tall); i * tall < Math.min(window.r1, size[0]); i += 1) {
    for (let j = Math.floor(Math.max(0, window.c0) / wide); j * wide < Math.min(window.c1, size[1]); j += 1) {
      tiles.push({ key: `${blocks[0]}/${blocks[1]}/${i}/${j}`, blocks, r0: i * tall, r1: Math.min((i + 1) * tall, size[0]),
        c0: j * wide, c1: Math.min((j + 1) * wide, size[1]) });
    }
  }
  return tiles;
}

/**
 * A window moved and zoomed, kept inside.
 * @param {Window} window
 * @param {[number, number]} size
 * @param {{factor?: number, down?: number, right?: number, at?: [number, number]}} change at: what stays, 0 to 1
 * @returns {Window}
 */
export function changed(window, size, { factor = 1, down = 0, right = 0, at = [0.5, 0.5] }) {
  const along = (from, to, all, move, fixed) => {
    const span = Math.min(Math.max((to - from) * factor, Math.min(8, all)), all);
    const start = from + (to - from - span) * fixed + move;
    const low = Math.min(Math.max(start, 0), all - span);
    return [low, low + span];
  };
  const [r0, r1] = along(window.r0, window.r1, size[0], down, at[0]);
  const [c0, c1] = along(window.c0, window.c1, size[1], right, at[1]);
  return { r0, r1, c0, c1 };
}

/** Asks for tiles, few at a time, and keeps those that came. */
export class TileCache {
  /** @param {(tile: Tile) => void} ask */
  constructor(ask) {
    this.ask = ask;
    /** @type {Map<string, any>} */ this.kept = new Map();
    /** @type {Set<string>} */ this.out = new Set();
    /** @type {Tile[]} */ this.wanted = [];
    this.asked = 0;
  }

  /**
   * Want these from now on, and nothing else any more.
   * @param {Tile[]} tiles
   */
  want(tiles) {
    this.wanted = tiles.filter((tile) => !this.kept.has(tile.key) && !this.out.has(tile.key));
    this.#go();
  }

  /**
   * Take one that came, or word that it will not (null).
   * @param {string} key
   * @param {any} content
   */
  came(key, content) {
    this.out.delete(key);
    if (content !== null) {
      this.kept.set(key, content);
      if (this.kept.size > KEPT) this.kept.delete(/** @type {string} */ (this.kept.keys().next().value));
    }
    this.#go();
  }

  /** Forget all: another slice or another reduction is shown. What is out is dropped when it comes. */
  clear() {
    this.kept.clear();
    this.out.clear();
    this.wanted = [];
  }

  #go() {
    while (this.out.size < IN_FLIGHT && this.wanted.length) {
      const tile = /** @type {Tile} */ (this.wanted.shift());
      this.out.add(tile.key);
      this.asked += 1;
      this.ask(tile);
    }
  }
}

/**
 * Write a window as code: `a[120:180, 40:90]`.
 * @param {string} name
 * @param {(number|[number, number])[]} index
 */
export function codeOf(name, index) {
  return `${name}[${index.map((item) => (Array.isArray(item) ? item.join(":") : item)).join(", ")}]`;
}
