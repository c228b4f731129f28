/** The node's side of its connection: from the challenge to the welcome, and what it answers. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { HoldfastError } from "../../src/errors.ts";
import { GatewayConnection } from "../../src/nodes/node/gateway-connection.ts";
import { GatewayRequests } from "../../src/nodes/node/gateway-requests.ts";
import { NodeKey } from "../../src/nodes/node/key.ts";
import { KnownRuns } from "../../src/nodes/node/known-runs.ts";
import { PinFile } from "../../src/nodes/node/pin.ts";
import { requestsMax } from "../../src/protocol/background.ts";
import { isProven } from "../../src/protocol/node/proof.ts";
import type { NodeAsk, NodeMessage } from "../../src/protocol/node/messages.ts";
import { ManualClock } from "../helpers/manual-clock.ts";
import { told } from "./helpers/told.ts";
import { Socket } from "./helpers/fake-socket.ts";

const turns = () => new Promise(setImmediate);

describe("the life of a connection to a gateway", () => {
  const nonce = "n".repeat(43);
  const gateway = "0123456789abcdef";
  const challenge = { type: "challenge", nonce, gateway, version: "1" };
  const welcome = { type: "welcome", node: "a".repeat(32), name: "far", leaseMs: 1000, beatMs: 1000 };

  function begin(directory: string, invite: string | null = null) {
    const clock = new ManualClock();
    const socket = new Socket();
    const key = NodeKey.open(join(directory, "key.pem"));
    const heard: string[] = [];
    const settings = { instance: "0".repeat(16), name: "far", once: false, tier: "cgroup", invite };
    const connection = new GatewayConnection(socket as never, "", {
      clock,
      settings: settings as never,
      version: "1",
      epoch: 3,
      key,
      pins: new PinFile(directory),
      provenMs: 10_000,
      onPending: () => void heard.push("pending"),
      onWelcome: () => void heard.push("welcome"),
      onAsk: () => void heard.push("ask"),
    });
    let end: object | undefined;
    void connection.ended.then((how) => (end = how));
    const ended = async () => {
      await turns();
      return end as { why: string; wasWelcome: boolean; refusal?: { code: string } } | undefined;
    };
    return { clock, socket, key, heard, ended, connection, pins: new PinFile(directory) };
  }

  async function inPlace(play: (directory: string) => Promise<void>): Promise<void> {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-life-"));
    await play(directory).finally(() => rmSync(directory, { recursive: true }));
  }

  it("goes from the challenge to the welcome, with a proof for this gateway alone, which is kept", () =>
    inPlace(async (directory) => {
      const { clock, socket, key, heard, ended } = begin(directory, "secret");
      socket.says(challenge);
      const proof = socket.sent[0] as Extract<NodeMessage, { type: "prove" }>;
      assert.ok(isProven({ ...proof, nonce, gateway, fingerprint: "" }, proof.signature));
      assert.ok(!isProven({ ...proof, nonce, gateway: `${gateway}0`, fingerprint: "" }, proof.signature));
      assert.deepEqual([proof.invite, proof.publicKey], ["secret", key.publicKey]);
      socket.says({ type: "pending", node: key.nodeId });
      clock.advance(3000);
      socket.emit("ping");
      clock.advance(3000);
      socket.emit("ping");
      clock.advance(5000);
      socket.emit("ping");
      socket.says(welcome);
      assert.deepEqual([heard, await ended()], [["pending", "welcome"], undefined]);
      assert.equal(new PinFile(directory).pin?.gateway, gateway);
      socket.says({ type: "ask", id: 1, name: "lease.renew", params: { leaseMs: 1 } });
      assert.equal(heard.at(-1), "ask");
      // The next connection knows whom it serves and that the invitation is used up.
      const next = begin(directory, "secret");
      next.socket.says(challenge);
      assert.equal((next.socket.sent[0] as { invite?: unknown }).invite, null);
      const other = begin(directory);
      other.socket.says({ ...challenge, gateway: "f".repeat(16) });
      other.socket.emit("close", 1000, Buffer.alloc(0));
      assert.deepEqual([other.socket.sent, (await other.ended())?.refusal?.code], [[], "gateway_other"]);
    }));

  it("is given up when the gateway does not decide in time", () =>
    inPlace(async (directory) => {
      for (const words of [[], [challenge]]) {
        const { clock, socket, ended } = begin(directory);
        for (const word of words) socket.says(word);
        clock.advance(9999);
        assert.equal(await ended(), undefined);
        clock.advance(1);
        const end = await ended();
        assert.match(end?.why ?? "", /it did not say within 10000 ms/);
        assert.deepEqual([end?.wasWelcome, end?.refusal, clock.pending], [false, undefined, 0]);
      }
    }));

  it("ends with the gateway's word when that refuses, and for a word out of its place", () =>
    inPlace(async (directory) => {
      const refused = begin(directory);
      refused.socket.says(challenge);
      refused.socket.says({ type: "refused", code: "node_revoked", message: "no" });
      refused.socket.emit("close", 1008, Buffer.alloc(0));
      assert.equal((await refused.ended())?.refusal?.code, "node_revoked");
      const pending = { type: "pending", node: "a".repeat(32) };
      const ask = { type: "ask", id: 1, name: "lease.renew", params: { leaseMs: 1 } };
      const no = { type: "refused", code: "node_revoked", message: "no" };
      for (const words of [[welcome], [pending], [no], [ask], [challenge, challenge], [challenge, ask], [challenge, welcome, welcome], [challenge, pending, pending]]) {
        const { socket, ended } = begin(directory);
        for (const word of words) socket.says(word);
        const end = await ended();
        assert.match(end?.why ?? "", /^it said \w+ while the connection was/, JSON.stringify(words.map(({ type }) => type)));
        assert.equal(end?.refusal, undefined);
      }
    })); // prettier-ignore
});

describe("the runs that a node has", () => {
  it("are known by the gateway's names and by no others, and forgotten only when they have ended", () => {
    const live = new Set<string>();
    const runs = new KnownRuns((request) => live.has(request));
    const run = told("r1-a");
    assert.equal(runs.told({ ...run, background: null }), undefined);
    assert.equal(runs.told({ ...run, background: { ...run.background!, request: null } }), undefined);
    const known = runs.told({ ...run, background: { ...run.background!, request: "n1-a" } });
    assert.deepEqual([known?.request, known?.run.id, runs.idOf("n1-a")], ["n1-a", "n1-a", "r1-a"]);
    assert.equal(runs.told({ ...run, background: null })?.request, "n1-a", "when it has ended too");
    runs.learn("n1-a", "r1-b");
    const next = runs.told({ ...run, id: "r1-b", background: null });
    assert.deepEqual([runs.idOf("n1-a"), next?.request], ["r1-b", "n1-a"], "the run of a second attempt");
    assert.equal(runs.told({ ...run, background: null }), undefined, "that of the first one left no record");
    runs.learn("n1-a", "r1-a");
    for (let number = 1; number < 2 * requestsMax; number += 1) runs.learn(`n-${number}`, `r-${number}`);
    assert.equal(runs.idOf("n1-a"), "r1-a", "as many as may be known");
    runs.learn("last", "r-last");
    assert.throws(() => runs.idOf("n1-a"), { code: "run_unknown" });
    assert.deepEqual([runs.idOf("n-1"), runs.told({ ...run, background: null })], ["r-1", undefined]);
  });

  it("are started and answered for over the connection that asked, and what cannot be is refused there", async () => {
    const sent: NodeMessage[] = [];
    const wire = {
      send: (word: NodeMessage) => sent.push(word),
      sendFrame: (frame: string) => sent.push(JSON.parse(frame) as NodeMessage),
    } as never;
    const noted: string[] = [];
    let size = 10;
    let onStart = async () => told("n1-a", { id: "r1-a" });
    const requests = new GatewayRequests({
      link: { ask: async () => ({ runs: 1 }) } as never,
      local: { start: () => onStart(), write: async () => ({ inputBytes: size }), list: async () => [{ ...told("n1-a"), id: "r1-a", command: "x".repeat(size) }, { ...told("r1-b"), background: null }] } as never,
      runs: new KnownRuns(() => true),
      mayStart: (request) => void (request === "n1-no" && assert.fail("no more than one")),
      onStarted: ({ request }) => void noted.push(`started ${request}`),
      onRefused: ({ request }, { code }) => void noted.push(`refused ${request} ${code}`),
      onRead: () => {},
    });
    const ask = (id: number, name: string, params: object) => requests.answer({ type: "ask", id, name, params } as NodeAsk, wire);
    await ask(1, "exec.start", { request: "n1-a", argv: ["true"] });
    await ask(2, "exec.write", { run: "n1-a" });
    await ask(3, "exec.write", { run: "n1-b" });
    await ask(4, "lease.renew", { leaseMs: 1 });
    onStart = () => Promise.reject(new HoldfastError("gateway_busy", "stopping"));
    await ask(5, "exec.start", { request: "n1-b", argv: ["true"] });
    size = 3_000_000;
    await ask(6, "run.list", {});
    assert.deepEqual(
      sent.map((word) => [word.type, "code" in word ? word.code : "id" in word ? word.id : 0]),
      [["reply", 1], ["reply", 2], ["refusal", "run_unknown"], ["reply", 4], ["refusal", "node_absent"], ["reply", 6]],
    );
    const list = (sent[5] as { result: { id: string; command: string }[] }).result;
    assert.deepEqual(list.map(({ id, command }) => [id, command.length]), [["n1-a", 256]]);
    assert.deepEqual(noted, ["started n1-a", "refused n1-b node_absent"]);
  }); // prettier-ignore
});
