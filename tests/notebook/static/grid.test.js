import assert from "node:assert/strict";
import { test } from "node:test";
import { hiddenColumns, moved, visibleRange } from "../../../rpcnb/notebook/static/grid.js";

test("only rows in view and a few beside them are in the page", () => {
  assert.deepEqual(visibleRange(0, 280, 28, 10000), [0, 14]);
  assert.deepEqual(visibleRange(2800, 280, 28, 10000), [96, 114]);
  assert.deepEqual(visibleRange(0, 280, 28, 3), [0, 3]);
  assert.deepEqual(visibleRange(1e6, 280, 28, 3), [3, 3]);
  assert.deepEqual(visibleRange(0, 280, 28, 0), [0, 0]);
});

test("arrows, Home, End and pages move and stop at the edges", () => {
  const size = { rows: 20, columns: 5, page: 8 };
  assert.deepEqual(moved("ArrowDown", 3, 1, size), [4, 1]);
  assert.deepEqual(moved("ArrowDown", 19, 1, size), [19, 1]);
  assert.deepEqual(moved("ArrowUp", 0, 1, size), [-1, 1]);
  assert.deepEqual(moved("ArrowUp", -1, 1, size), [-1, 1]);
  assert.deepEqual(moved("ArrowLeft", 3, 0, size), [3, 0]);
  assert.deepEqual(moved("End", 3, 0, size), [3, 4]);
  assert.deepEqual(moved("Home", 3, 4, size), [3, 0]);
  assert.deepEqual(moved("PageDown", 3, 4, size), [11, 4]);
  assert.deepEqual(moved("PageUp", 3, 4, size), [0, 4]);
  assert.equal(moved("b", 3, 4, size), null);
});

test("columns are left out in the order of their numbers", () => {
  const columns = [{ width: "100px" }, { width: "minmax(80px, 1fr)", optional: 2 }, { width: "60px", optional: 1 }];
  assert.deepEqual(hiddenColumns(400, columns), []);
  assert.deepEqual(hiddenColumns(250, columns), [1]);
  assert.deepEqual(hiddenColumns(120, columns), [1, 2]);
});
