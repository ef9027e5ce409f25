import assert from "node:assert/strict";
import { test } from "node:test";
import { progressText, secondsLeft, segments } from "../../../rpcnb/notebook/static/calls.js";

const call = { id: 1, name: "f", sent: 10, started: 12, ended: null, done: 5, total: 20, description: "rows", prints: [13] };

test("a bar has its parts where they were in time", () => {
  const parts = segments(call, 10, 20, 15);
  assert.deepEqual(parts, { wait: [0, 0.2], run: [0.2, 0.5], done: 0.25, prints: [0.3] });
});

test("a call that ended at once ran at once, one that waits has not begun", () => {
  assert.deepEqual(segments({ ...call, started: null, ended: 11, total: null }, 10, 20, 15).run, [0, 0.1]);
  assert.deepEqual(segments({ ...call, started: null }, 10, 20, 15).wait, [0, 0.5]);
});

test("the rest is foretold after three reports", () => {
  assert.equal(secondsLeft(call, 15, 2), null);
  assert.equal(secondsLeft(call, 15, 3), 9);
  assert.equal(secondsLeft({ ...call, total: null }, 15, 9), null);
  assert.equal(progressText(call, 15, 3), "rows 5/20 25 %, 9.00 s left");
  assert.equal(progressText({ ...call, done: 0, total: null }, 15, 3), "");
});
