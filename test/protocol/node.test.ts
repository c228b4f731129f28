/** What gateway and node believe of each other: words of the exact form, and a proof that stands for every fact in it. */
import assert from "node:assert/strict";
import { generateKeyPairSync, randomBytes, sign } from "node:crypto";
import { describe, it } from "node:test";
import { readGatewayMessage, readNodeMessage, nodeRequests } from "../../src/protocol/node/messages.ts";
import { isProven, nodeIdOf, signedText, type SignedFacts } from "../../src/protocol/node/proof.ts";

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
    ["an ask", { type: "ask", id: 1, name: "exec.write", params: write }, readGatewayMessage],
    ["a beat", { type: "ask", id: 2, name: "lease.renew", params: { leaseMs: 1000 } }, readGatewayMessage],
    ["a refusal", { type: "refusal", id: 1, code: "run_ended", message: "" }, readNodeMessage],
    ["no runs", { type: "runs", runs: [], more: false }, readNodeMessage],
  ];
  for (const [what, word, hear] of good) {
    it(`${what} is heard as it was said`, () => assert.deepEqual(hear(JSON.stringify(word)), { message: word }));
  }

  const bad: [string, unknown, (frame: string) => object][] = [
    ["an ask for a server of the config", { type: "ask", id: 1, name: "run.start", params: {} }, readGatewayMessage],
    [
      "an ask with more than it has",
      { type: "ask", id: 1, name: "exec.write", params: { ...write, x: 1 } },
      readGatewayMessage,
    ],
    ["an ask without a number", { type: "ask", name: "exec.write", params: write }, readGatewayMessage],
    ["a node's word from a gateway", { type: "runs", runs: [], more: false }, readGatewayMessage],
    ["a gateway's word from a node", { type: "welcome" }, readNodeMessage],
    ["a code that there is not", { type: "refusal", id: 1, code: "toString", message: "" }, readNodeMessage],
    ["a state without a run", { type: "state", request: "n1-abc", run: {} }, readNodeMessage],
    ["a list", [], readNodeMessage],
    ["null", null, readGatewayMessage],
  ];
  for (const [what, word, hear] of bad) {
    it(`${what} is not believed`, () => assert.ok("wrong" in hear(JSON.stringify(word))));
  }

  it("what is no JSON is not believed, and a reply is what its ask asked for", () => {
    assert.ok("wrong" in readNodeMessage("{"));
    assert.ok(nodeRequests["exec.write"].result.safeParse({ inputBytes: 3 }).success);
    assert.ok(!nodeRequests["exec.read"].result.safeParse({ inputBytes: 3 }).success);
  });
});
