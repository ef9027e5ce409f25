import assert from "node:assert/strict";
import { test } from "node:test";
import { MAP_NAMES, colourAt, lookUpTable, valueOf } from "../../../rpcnb/notebook/static/colours.js";
import { barHeights } from "../../../rpcnb/notebook/static/histogram.js";
import { middleOf } from "../../../rpcnb/notebook/static/values.js";

test("codes stand for values between the ends", () => {
  assert.deepEqual([2, 128, 254, 255].map((code) => valueOf(code, [-1, 1])), [-1, 0, 1, 1]);
  assert.ok(Number.isNaN(valueOf(0, [-1, 1])));
});

test("colours begin and end where their map does", () => {
  assert.deepEqual(colourAt("viridis", 0), [0x44, 0x01, 0x54]);
  assert.deepEqual(colourAt("viridis", 7), [0xfd, 0xe7, 0x25]);
  assert.deepEqual(colourAt("grey", 0.5), [128, 128, 128]);
});

test("zero is neutral in the diverging map, NaN is see-through, extremes have the last colours", () => {
  for (const name of MAP_NAMES) assert.equal(lookUpTable(name, [0, 1], [0, 1])[0], 0);
  const table = lookUpTable("diverging", [-1, 3], [-1, 3]);
  const bytes = (code) => [table[code] & 255, (table[code] >> 8) & 255, (table[code] >> 16) & 255];
  assert.deepEqual(bytes(65), [0xf7, 0xf7, 0xf7]);
  assert.deepEqual(bytes(255), [0xb2, 0x18, 0x2b]);
  assert.deepEqual(bytes(1), [0x21, 0x66, 0xac]);
});

test("small counts are seen beside large ones", () => {
  assert.deepEqual(barHeights([0, 1, 100]), [0, 0.1, 1]);
  assert.deepEqual(barHeights([0, 0]), [0, 0]);
});

test("values are shown from the middle of the view", () => {
  assert.deepEqual(middleOf({ r0: 0, r1: 100, c0: 0, c1: 100 }, [100, 100]), { r0: 44, r1: 56, c0: 46, c1: 54 });
  assert.deepEqual(middleOf({ r0: 0, r1: 3, c0: 0, c1: 2 }, [3, 2]), { r0: 0, r1: 3, c0: 0, c1: 2 });
  assert.deepEqual(middleOf({ r0: 92, r1: 100, c0: 0, c1: 8 }, [100, 100]), { r0: 92, r1: 100, c0: 0, c1: 8 });
});
