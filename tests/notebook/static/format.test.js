import assert from "node:assert/strict";
import { test } from "node:test";
import { ageText, countText, durationText, numberText, sizeText } from "../../../rpcnb/notebook/static/format.js";

test("sizes have three digits and a unit", () => {
  assert.deepEqual([0, 512, 1024, 64 * 2 ** 20, 1.42 * 2 ** 30, 1023 * 1024].map(sizeText),
    ["0 B", "512 B", "1.00 KiB", "64.0 MiB", "1.42 GiB", "1023 KiB"]);
});

test("durations read well at every length", () => {
  assert.deepEqual([0.0031, 0.25, 1.2, 12.34, 65, 3700].map(durationText),
    ["3.1 ms", "250 ms", "1.20 s", "12.3 s", "1 m 05 s", "1 h 1 m"]);
});

test("ages have one unit", () => {
  assert.deepEqual([-1, 9.7, 61, 7300, 200000].map(ageText), ["0s", "9s", "1m", "2h", "2d"]);
});

test("counts agree with their noun, numbers are short", () => {
  assert.deepEqual([countText(1, "handle"), countText(1200, "handle")], ["1 handle", "1,200 handles"]);
  assert.deepEqual([3, -4.9, 1e-7, 1 / 3, NaN, -Infinity].map(numberText),
    ["3", "-4.9", "1e-7", "0.333333", "NaN", "-Infinity"]);
});
