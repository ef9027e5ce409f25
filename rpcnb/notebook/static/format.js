// Numbers and times as text.  Pure.

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];

/**
 * Write bytes with three significant digits: "64.0 MiB".
 * @param {number} nbytes
 */
export function sizeText(nbytes) {
  let unit = 0;
  while (nbytes >= 1024 && unit < UNITS.length - 1) {
    nbytes /= 1024;
    unit += 1;
  }
  return `${unit ? nbytes.toPrecision(nbytes >= 1000 ? 4 : 3) : Math.round(nbytes)} ${UNITS[unit]}`;
}

/**
 * Write a duration: "3.1 ms", "1.24 s", "2 m 05 s".
 * @param {number} seconds
 */
export function durationText(seconds) {
  if (seconds < 0.9995) return `${(seconds * 1000).toFixed(seconds < 0.00995 ? 1 : 0)} ms`;
  if (seconds < 59.95) return `${seconds.toFixed(seconds < 9.995 ? 2 : 1)} s`;
  if (seconds < 3600) {
    const whole = Math.round(seconds);
    return `${Math.floor(whole / 60)} m ${String(whole % 60).padStart(2, "0")} s`;
  }
  return `${Math.floor(seconds / 3600)} h ${Math.floor((seconds % 3600) / 60)} m`;
}

/**
 * Write an age in one unit: "9s", "12m", "3h", "2d".
 * @param {number} seconds
 */
export function ageText(seconds) {
  if (seconds < 60) return `${Math.max(0, Math.floor(seconds))}s`;
  if (seconds < 3600) return `${Math.floor(seconds / 60)}m`;
  if (seconds < 86400) return `${Math.floor(seconds / 3600)}h`;
  return `${Math.floor(seconds / 86400)}d`;
}

/**
 * Write a count with its noun: "1 handle", "1,200 handles".
 * @param {number} number
 * @param {string} noun
 */
export function countText(number, noun) {
  return `${number.toLocaleString("en-US")} ${noun}${number === 1 ? "" : "s"}`;
}

/**
 * Write a number in at most six significant digits, as a cell of a table: "-4.9", "1e-7", "NaN".
 * @param {number} value
 */
export function numberText(value) {
  if (Number.isInteger(value) && Math.abs(value) < 1e9) return String(value);
  return String(Number(value.toPrecision(6)));
}
