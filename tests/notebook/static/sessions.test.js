import assert from "node:assert/strict";
import { test } from "node:test";
import { chainText } from "../../../rpcnb/notebook/static/sessions.js";

test("a chain names every hop", () => {
  assert.equal(chainText({ url: "127.0.0.1:9090" }), "this kernel → 127.0.0.1:9090");
  assert.equal(chainText({ url: "gate:1", hops: ["lab"] }), "this kernel → gate:1 → lab");
});
