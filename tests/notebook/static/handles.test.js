import assert from "node:assert/strict";
import { test } from "node:test";
import { createdText, inOutput, isPinned, mainName } from "../../../rpcnb/notebook/static/handles.js";
import { describeLife } from "../../../rpcnb/notebook/static/ribbons.js";

test("a handle goes by its variable, not by an output", () => {
  assert.equal(mainName(["Out[3]", "_", "a"]), "a");
  assert.equal(mainName(["Out[3]", "_"]), "—");
  assert.deepEqual([inOutput(["a"]), inOutput(["a", "Out[3]"]), inOutput(["_"])], [false, true, true]);
});

test("a pin is told from a name", () => {
  assert.deepEqual([["a"], ["a", "(pinned)"], ["(pinned until 14:05)"]].map(isPinned), [false, true, true]);
  assert.equal(mainName(["(pinned)"]), "—");
});

test("where and how long a handle lived is told", () => {
  const handle = { handle: 7, kind: "array", summary: "f32[3]", nbytes: 12, cell: 4, line: 2, born: 10, died: 12, lost: false };
  assert.equal(createdText(handle), "[4]:2");
  assert.equal(createdText({ cell: null, line: null }), "");
  assert.equal(describeLife(handle, 20), "handle 7: array f32[3], 12 B, made in [4]:2, freed after 2.00 s");
  assert.match(describeLife({ ...handle, died: null }, 20), /alive after 10\.0 s$/);
});
