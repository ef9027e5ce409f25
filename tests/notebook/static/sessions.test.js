import assert from "node:assert/strict";
import { test } from "node:test";
import { chainText } from "../../../rpcnb/notebook/static/sessions.js";

test("a chain names every hop", () => {
  assert.equal(chainText({ url: "127.0.0.1:9090", hops: [] }), "this kernel → 127.0.0.1:9090");
  const hops = [{ name: "gate", address: "gate:1", rtt: 0.00021 }, { name: "unix:///lab", address: "unix:///lab", rtt: 0.012 }];
  assert.equal(chainText({ url: "gate:1", hops }), "this kernel → gate gate:1 (0.2 ms) → unix:///lab (12 ms)");
});
