import assert from "node:assert/strict";
import { test } from "node:test";
import { TILE, TileCache, blockSize, changed, codeOf, tilesOf } from "../../../rpcnb/notebook/static/tiles.js";

test("blocks are powers of two, and few enough to see", () => {
  assert.deepEqual([1, 256, 257, 512, 1000, 16384].map(blockSize), [1, 1, 2, 2, 4, 64]);
});

test("tiles cover a window and end with the array", () => {
  const tiles = tilesOf({ r0: 100, r1: 300, c0: 0, c1: 200 }, [310, 1000]);
  assert.deepEqual(tiles.map((tile) => [tile.r0, tile.r1, tile.c0, tile.c1]),
    [[0, 128, 0, 128], [0, 128, 128, 256], [128, 256, 0, 128], [128, 256, 128, 256], [256, 310, 0, 128], [256, 310, 128, 256]]);
  for (const span of [1, 77, 256, 5000, 1e6]) {
    assert.ok(tilesOf({ r0: 13, r1: 13 + span, c0: 5, c1: 5 + span }, [1e7, 1e7]).length <= 9);
  }
  assert.equal(TILE, 128);
});

test("a window is zoomed around a point and kept inside", () => {
  const window = { r0: 0, r1: 100, c0: 0, c1: 100 };
  assert.deepEqual(changed(window, [100, 100], { factor: 0.5 }), { r0: 25, r1: 75, c0: 25, c1: 75 });
  assert.deepEqual(changed(window, [100, 100], { factor: 0.5, at: [0, 1] }), { r0: 0, r1: 50, c0: 50, c1: 100 });
  assert.deepEqual(changed({ r0: 25, r1: 75, c0: 25, c1: 75 }, [100, 100], { down: 80, right: -80 }), { r0: 50, r1: 100, c0: 0, c1: 50 });
  assert.deepEqual(changed(window, [100, 100], { factor: Infinity }), window);
  assert.deepEqual(changed(window, [100, 5], { factor: 0.001 }), { r0: 46, r1: 54, c0: 0, c1: 5 });
});

test("few tiles are asked for at a time, and none twice", () => {
  const asked = [];
  const cache = new TileCache((tile) => asked.push(tile.key));
  const tiles = tilesOf({ r0: 0, r1: 256, c0: 0, c1: 256 }, [1000, 1000]);
  cache.want(tiles);
  assert.equal(asked.length, 2);
  cache.came(asked[0], {});
  cache.came(asked[1], null);
  cache.want(tiles);
  for (const key of [...asked]) cache.came(key, {});
  cache.want(tiles);
  while (cache.out.size) cache.came([...cache.out][0], {});
  assert.deepEqual(new Set(asked), new Set(tiles.map((tile) => tile.key)));
  cache.want(tiles);
  assert.equal(cache.asked, 5); // the one that failed was asked for again
});

test("what was wanted before and is not any more is not asked for", () => {
  const asked = [];
  const cache = new TileCache((tile) => asked.push(tile.key));
  cache.want(tilesOf({ r0: 0, r1: 256, c0: 0, c1: 256 }, [1000, 1000]));
  cache.want([]);
  cache.came(asked[0], {});
  assert.equal(asked.length, 2);
});

test("a view is code", () => {
  assert.equal(codeOf("a", [[120, 180], 3, [40, 90]]), "a[120:180, 3, 40:90]");
});
