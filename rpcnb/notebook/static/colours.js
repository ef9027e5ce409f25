// Colours of numbers.  Pure.

const MAPS = {
  viridis: "440154 472d7b 3b528b 2c728e 21918c 28ae80 5ec962 addc30 fde725",
  diverging: "2166ac 67a9cf d1e5f0 f7f7f7 fddbc7 ef8a62 b2182b",
  grey: "000000 ffffff",
};
export const MAP_NAMES = Object.keys(MAPS);

/**
 * The colour at a place between 0 and 1, as red, green, blue.
 * @param {string} name
 * @param {number} at
 * @returns {[number, number, number]}
 */
export function colourAt(name, at) {
  const anchors = /** @type {any} */ (MAPS)[name].split(" ");
  const place = Math.min(Math.max(at, 0), 1) * (anchors.length - 1);
  const index = Math.min(Math.floor(place), anchors.length - 2);
  const share = place - index;
  const part = (anchor, from) => parseInt(anchor.slice(from, from + 2), 16);
  const mix = (from) => Math.round(part(anchors[index], from) * (1 - share) + part(anchors[index + 1], from) * share);
  return [mix(0), mix(2), mix(4)];
}

/**
 * What a code stands for; see rpcnb/array/look.py.
 * @param {number} code
 * @param {[number, number]} clip
 */
export function valueOf(code, clip) {
  if (code === 0) return NaN;
  return clip[0] + ((Math.min(Math.max(code, 2), 254) - 2) / 252) * (clip[1] - clip[0]);
}

/**
 * One pixel for each code, in the byte order of canvases; NaN is see-through, so that the checks behind show.
 * @param {string} name
 * @param {[number, number]} clip what the codes stand for
 * @param {[number, number]} range what the ends of the colours stand for
 * @returns {Uint32Array}
 */
export function lookUpTable(name, clip, range) {
  const table = new Uint32Array(256);
  const span = range[1] - range[0] || 1;
  const middle = name === "diverging" ? Math.max(Math.abs(range[0]), Math.abs(range[1])) || 1 : 0;
  for (let code = 1; code < 256; code += 1) {
    const value = valueOf(code, clip);
    const at = middle ? (value / middle + 1) / 2 : (value - range[0]) / span;
    const [red, green, blue] = colourAt(name, code === 1 ? 0 : code === 255 ? 1 : at);
    table[code] = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
  }
  return table;
}
