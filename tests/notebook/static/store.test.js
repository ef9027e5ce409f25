import assert from "node:assert/strict";
import { test } from "node:test";
import { Store } from "../../../rpcnb/notebook/static/store.js";

test("a snapshot replaces, changes add, and each says what changed", () => {
  const store = new Store(() => 5);
  const first = store.apply({ type: "snapshot", now: 105, calls: [{ id: 1, sent: 1, ended: null }], handles: [{ handle: 7 }],
    session: { name: "lab" }, sessions: [], buttons: true });
  assert.deepEqual([...first].sort(), ["calls", "handles", "session", "sessions"]);
  assert.equal(store.now(), 105);
  store.apply({ type: "changes", now: 106, calls: [{ id: 2, sent: 2, ended: 3 }], gone: [1] });
  assert.deepEqual([...store.calls.keys()], [2]);
  assert.deepEqual(store.running(), []);
  store.apply({ type: "snapshot", now: 107, calls: [], handles: [] });
  assert.equal(store.calls.size + store.handles.size, 0);
});

test("what the kernel dropped is dropped here", () => {
  const store = new Store(() => 0);
  store.apply({ type: "changes", handles: [{ handle: 1 }, { handle: 2 }] });
  store.apply({ type: "why", handle: 1, held: ["a"] });
  store.apply({ type: "changes", handles: [{ handle: 3 }], buried: [1] });
  assert.deepEqual([[...store.handles.keys()], store.why.size], [[2, 3], 0]);
});

test("answers to clicks are kept", () => {
  const store = new Store(() => 0);
  assert.deepEqual([...store.apply({ type: "why", handle: 3, held: ["a"] })], ["held"]);
  assert.deepEqual(store.why.get(3), ["a"]);
  assert.deepEqual([...store.apply({ type: "code", code: "a.free()" })], ["code"]);
  assert.equal(store.code, "a.free()");
});
