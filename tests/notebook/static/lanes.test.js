import assert from "node:assert/strict";
import { test } from "node:test";
import { Allocator, cellScale, layOut } from "../../../rpcnb/notebook/static/lanes.js";

const life = (handle, born, died, ...steps) => ({ handle, born, died, steps, cell: null, line: null, kind: "array", summary: "", nbytes: 0, base: 0, lost: false });

test("space is taken at the lowest place and joined again when given back", () => {
  const space = new Allocator();
  assert.deepEqual([space.take(4), space.take(6), space.take(2)], [0, 4, 10]);
  space.give(0, 4);
  space.give(4, 6);
  assert.deepEqual(space.free, [[0, 10]]);
  assert.equal(space.take(7), 0);
  space.give(10, 2);
  assert.deepEqual([space.top, space.peak], [7, 12]);
});

test("heights add up to the total at any time, and never overlap", () => {
  const handles = [];
  let seed = 7;
  const random = () => (seed = (seed * 16807) % 2147483647) / 2147483647;
  for (let handle = 0; handle < 300; handle += 1) {
    const born = random() * 100;
    const died = random() < 0.5 ? born + random() * 20 : null;
    handles.push(life(handle, born, died, [born, 1 + Math.floor(random() * 50)]));
  }
  const { segments, totals, bands, total } = layOut(handles);
  assert.equal(bands, 300);
  assert.equal(total, handles.filter((h) => h.died === null).reduce((sum, h) => sum + h.steps[0][1], 0));
  for (const time of [10, 50, 99, 130]) {
    const alive = segments.filter((s) => s.from <= time && (s.to === null || s.to > time)).sort((a, b) => a.offset - b.offset);
    const sum = alive.reduce((all, s) => all + s.bytes, 0);
    assert.equal(sum, totals.filter((entry) => entry[0] <= time).at(-1)?.[1] ?? 0);
    alive.slice(1).forEach((s, index) => assert.ok(s.offset >= alive[index].offset + alive[index].bytes));
  }
});

test("the heir of a buffer takes its place", () => {
  const { segments, total } = layOut([life(1, 0, 5, [0, 100]), life(2, 1, null, [5, 100])]);
  assert.deepEqual(segments.map((s) => [s.handle, s.offset, s.from, s.to]), [[1, 0, 0, 5], [2, 0, 5, null]]);
  assert.equal(total, 100);
});

test("handles without bytes share lines when they do not overlap", () => {
  const { empty, lanes } = layOut([life(1, 0, 2), life(2, 1, null), life(3, 3, null)]);
  assert.deepEqual(empty.map((band) => [band.handle, band.lane]), [[1, 0], [2, 1], [3, 0]]);
  assert.equal(lanes, 2);
});

test("every cell has the same width", () => {
  const made = (cell, born) => ({ ...life(1, born, null), cell });
  const { cells, at } = cellScale([made(3, 10), made(4, 20), made(4, 25)], 100);
  assert.deepEqual(cells, [[3, 0], [4, 0.5]]);
  assert.deepEqual([at(5), at(15), at(20), at(60), at(100)], [0, 0.25, 0.5, 0.75, 1]);
  assert.equal(cellScale([], 5).at(3), 0);
});
