import assert from "node:assert/strict";
import { test } from "node:test";
import { chainText, quotaText } from "../../../rpcnb/notebook/static/sessions.js";

test("a chain names every hop", () => {
  assert.equal(chainText({ url: "127.0.0.1:9090", hops: [] }), "this kernel → 127.0.0.1:9090");
  const hops = [{ name: "gate", address: "gate:1", rtt: 0.00021 }, { name: "unix:///lab", address: "unix:///lab", rtt: 0.012 }];
  assert.equal(chainText({ url: "gate:1", hops }), "this kernel → gate gate:1 (0.2 ms) → unix:///lab (12 ms)");
});

test("a quota says what is had of what may be had", () => {
  const memory = { name: "memory", most: 2 ** 31, used: 12 * 2 ** 20, size: true };
  assert.equal(quotaText(memory), "memory 12.0 MiB of 2.00 GiB");
  assert.equal(quotaText({ ...memory, used: null }), "memory at most 2.00 GiB");
  const handles = { name: "handles", most: 1_000_000, used: 1_204, size: false };
  assert.equal(quotaText(handles), "handles 1,204 of 1,000,000");
  assert.equal(quotaText({ name: "processes", most: 0, used: null, size: false }), "processes without bound");
  assert.equal(quotaText({ name: "processes", most: 0, used: 5, size: false }), "processes 5, without bound");
});
