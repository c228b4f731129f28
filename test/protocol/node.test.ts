/** What gateway and node believe of each other: words of the exact form, and a proof that stands for every fact in it. */
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { describe, it } from "node:test";
import { isProven, nodeIdOf, signedText, type SignedFacts } from "../../src/protocol/node/proof.ts";
import { hearGateway, hearNode, replyShapes } from "../../src/protocol/node/shapes.ts";

function signed(): { facts: SignedFacts; signature: string } {
  const { publicKey, privateKey } = generateKeyPairSync("ed25519");
  const facts = {
    nonce: randomBytes(32).toString("base64url"),
    gateway: "0123456789abcdef",
    fingerprint: "",
    publicKey: publicKey.export({ format: "jwk" }).x ?? "",
    instance: "0123456789abcdef",
    name: "mill",
    invite: null,
    once: false,
  };
  return { facts, signature: sign(null, signedText(facts), privateKey).toString("base64url") };
}

describe("the proof of a node", () => {
  it("holds for what was signed, and for nothing else", () => {
    const { facts, signature } = signed();
    assert.ok(isProven(facts, signature));
    const others: Partial<SignedFacts>[] = [
      { nonce: randomBytes(32).toString("base64url") },
      { gateway: "fedcba9876543210" },
      { fingerprint: "ab".repeat(32) },
      { publicKey: signed().facts.publicKey },
      { publicKey: "" },
      { instance: "1111111111111111" },
      { name: "other" },
      { invite: "x" },
      { once: true },
    ];
    for (const other of others) assert.ok(!isProven({ ...facts, ...other }, signature), JSON.stringify(other));
    for (const wrong of ["", "AAAA", signature.slice(2), signed().signature]) assert.ok(!isProven(facts, wrong));
  });

  it("an id is of the key alone, 32 hex characters", () => {
    const { facts } = signed();
    assert.match(nodeIdOf(facts.publicKey), /^[0-9a-f]{32}$/);
    assert.notEqual(nodeIdOf(facts.publicKey), nodeIdOf(signed().facts.publicKey));
  });
});

const write = { run: "n1-abc", bytes: "", at: 0, end: false };

describe("words between gateway and node", () => {
  const good: [string, unknown, (frame: string) => object][] = [
    ["an ask", { type: "ask", id: 1, name: "exec.write", params: write }, hearGateway],
    ["a beat", { type: "ask", id: 2, name: "lease.renew", params: { leaseMs: 1000 } }, hearGateway],
    ["a refusal", { type: "refusal", id: 1, code: "run_ended", message: "" }, hearNode],
    ["no runs", { type: "runs", runs: [], more: false }, hearNode],
  ];
  for (const [what, word, hear] of good) {
    it(`${what} is heard as it was said`, () => assert.deepEqual(hear(JSON.stringify(word)), { word }));
  }

  const bad: [string, unknown, (frame: string) => object][] = [
    ["an ask for a server of the config", { type: "ask", id: 1, name: "run.start", params: {} }, hearGateway],
    [
      "an ask with more than it has",
      { type: "ask", id: 1, name: "exec.write", params: { ...write, x: 1 } },
      hearGateway,
    ],
    ["an ask without a number", { type: "ask", name: "exec.write", params: write }, hearGateway],
    ["a node's word from a gateway", { type: "runs", runs: [], more: false }, hearGateway],
    ["a gateway's word from a node", { type: "welcome" }, hearNode],
    ["a code that there is not", { type: "refusal", id: 1, code: "toString", message: "" }, hearNode],
    ["a state without a run", { type: "state", request: "n1-abc", run: {} }, hearNode],
    ["a list", [], hearNode],
    ["null", null, hearGateway],
  ];
  for (const [what, word, hear] of bad) {
    it(`${what} is not believed`, () => assert.ok("wrong" in hear(JSON.stringify(word))));
  }

  it("what is no JSON is not believed, and a reply is what its ask asked for", () => {
    assert.ok("wrong" in hearNode("{"));
    assert.ok(replyShapes["exec.write"].safeParse({ inputBytes: 3 }).success);
    assert.ok(!replyShapes["exec.read"].safeParse({ inputBytes: 3 }).success);
  });
});
