/** The parts of a node's way to its gateway: whom it speaks to, how often it tries, what it keeps, and that nothing waits for ever. */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { connect as connectTcp, createServer as createTcp, type AddressInfo, type Server } from "node:net";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { RunView } from "../../src/protocol/run.ts";
import { ManualClock } from "../helpers/manual-clock.ts";
import { systemClock } from "../../src/clock.ts";
import { systemRandom, systemSources } from "../../src/random.ts";
import { readTls } from "../../src/config/tls.ts";
import type { NodeFinish } from "../../src/protocol/keeper/node.ts";
import { makeOwnCertificate, ownCertificateFiles } from "../../src/keeper/own-certificate.ts";
import { BackOff } from "../../src/nodes/node/dialer.ts";
import { connect, type Target } from "../../src/nodes/node/connect.ts";
import { NodeKey } from "../../src/nodes/node/key.ts";
import { Once } from "../../src/nodes/node/once.ts";
import { forgetGateway, PinFile } from "../../src/nodes/node/pin.ts";
import type { Wire } from "../../src/nodes/node/wire.ts";
import { fingerprintOf } from "../../src/protocol/node/proof.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { FakeGateway } from "./helpers/fake-gateway.ts";

const never = new AbortController().signal;

async function listening<S extends Server>(server: S): Promise<S & AsyncDisposable> {
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const close = async () => {
    server.close();
    await once(server, "close");
  };
  return Object.assign(server, { [Symbol.asyncDispose]: close });
}

const portOf = (server: Server) => (server.address() as AddressInfo).port;

describe("the way to the gateway", () => {
  leavesNothing();
  let directory: string;
  let tls: { cert: string; key: string; fingerprint: string };
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-node-"));
    await makeOwnCertificate(directory, ["127.0.0.1"], systemSources);
    const pair = readTls(ownCertificateFiles(directory));
    tls = { ...pair, fingerprint: fingerprintOf(pair.cert) };
  });
  after(() => rmSync(directory, { recursive: true }));

  const dial = (target: Partial<Target> & { port: number }, boundMs = 5000) =>
    connect(
      { host: "127.0.0.1", fingerprint: null, ...target },
      { clock: systemClock, boundMs, signal: never, connectTcp: (to) => connectTcp(to) },
      (socket, shown) => ({
        socket,
        shown,
      }),
    );
  /** Not known as this machine by its name, which leads to it all the same. */
  const elsewhere = "127.1";

  it("is open to the gateway with the pinned certificate, and is told which one it has", async () => {
    await using gateway = await FakeGateway.open({ tls });
    const { port } = gateway;
    for (const host of ["127.0.0.1", elsewhere]) {
      const { socket, shown } = await dial({ host, port, fingerprint: tls.fingerprint });
      assert.equal(shown, tls.fingerprint);
      socket.terminate();
      await once(socket, "close");
    }
  });

  it("says nothing to one with another certificate, or, past this machine, with one that nobody known has signed", async () => {
    await using gateway = await FakeGateway.open({ tls });
    const { port } = gateway;
    const other = "ab".repeat(32);
    const wrong = new RegExp(`shows the certificate ${tls.fingerprint}, and the pinned one is ${other}`);
    await assert.rejects(dial({ port, fingerprint: other }), { code: "certificate_untrusted", message: wrong });
    const unsigned = { code: "certificate_untrusted", message: /--fingerprint/ };
    await assert.rejects(dial({ port, host: elsewhere }), unsigned);
    assert.equal(gateway.callers.length, 0);
  });

  it("is never plain past this machine, and says what it met instead of a gateway", async () => {
    await using plain = await listening(createServer((_, response) => response.writeHead(404).end()));
    const port = portOf(plain);
    await assert.rejects(dial({ port, host: elsewhere }), {
      code: "gateway_unreachable",
      message: /^wss:.*does not speak TLS/,
    });
    await assert.rejects(dial({ port }), { code: "gateway_unreachable", message: /answered 404: it is not a gateway/ });
    await using secret = await FakeGateway.open({ tls });
    await assert.rejects(dial({ port: secret.port }), { message: /if it has a certificate, give its --fingerprint/ });
    plain.closeAllConnections();
  });

  it("ends in time when nobody answers, or at once when it is given up, and leaves no socket", async () => {
    await using mute = await listening(createTcp((socket) => void socket.resume().on("error", () => {})));
    const port = portOf(mute);
    await assert.rejects(dial({ port }, 300), { code: "gateway_unreachable", message: /no answer .* within 300 ms/ });
    await assert.rejects(dial({ port, fingerprint: "ab".repeat(32) }, 300), { code: "gateway_unreachable" });
    const began = performance.now();
    const target = { host: "127.0.0.1", port, fingerprint: null };
    await assert.rejects(
      connect(
        target,
        {
          clock: systemClock,
          boundMs: 60_000,
          signal: AbortSignal.timeout(50),
          connectTcp: (to) => connectTcp(to),
        },
        (socket) => socket,
      ),
    );
    assert.ok(performance.now() - began < 30_000);
    const count = () => new Promise<number>((resolve) => mute.getConnections((_, open) => resolve(open)));
    while ((await count()) > 0) await new Promise((resolve) => setTimeout(resolve, 5));
    await assert.rejects(dial({ port: 1 }), { message: /ECONNREFUSED/ });
  });

  it("is tried again later each time, up to 15 s, anywhere within that time, and soon again after a welcome", () => {
    const longest = new BackOff({ ...systemRandom, fraction: () => 0.999_999 });
    assert.deepEqual(
      Array.from({ length: 8 }, () => longest.next()),
      [250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000],
    );
    longest.reset();
    assert.equal(longest.next(), 250);
    assert.equal(new BackOff({ ...systemRandom, fraction: () => 0 }).next(), 0);
  });
});

describe("what a node keeps", () => {
  it("is a key that nobody else may read, and the one gateway that it serves", () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-node-"));
    const file = join(directory, "key.pem");
    const { nodeId } = NodeKey.open(file);
    assert.equal(statSync(file).mode & 0o777, 0o600);
    assert.equal(NodeKey.open(file).nodeId, nodeId);
    chmodSync(file, 0o644);
    assert.throws(() => NodeKey.open(file), { code: "file_exposed" });
    chmodSync(file, 0o600);
    writeFileSync(file, "secret words");
    assert.throws(
      () => NodeKey.open(file),
      ({ code, message }: { code: string; message: string }) => {
        assert.ok(!message.includes("secret"));
        return code === "state_unusable";
      },
    );
    const pin = { gateway: "0123456789abcdef", fingerprint: "", epoch: 1, invite: null };
    new PinFile(directory).keep(pin);
    assert.deepEqual(new PinFile(directory).pin, pin);
    forgetGateway(directory);
    assert.equal(new PinFile(directory).pin, undefined);
    writeFileSync(join(directory, "node-gateway.json"), "{}");
    assert.throws(() => new PinFile(directory), { code: "state_unusable", message: /--forget-gateway/ });
    assert.equal(readFileSync(join(directory, "node-gateway.json"), "utf8"), "{}");
    rmSync(directory, { recursive: true });
  });
});

describe("--once", () => {
  const times = { connectMs: 40, approvalMs: 40, invocationMs: 40, acknowledgeMs: 40 };
  const run = { state: "exited", exitCode: 3, signal: null } as RunView;
  const read = (stream: "stdout" | "stderr", printed: number) =>
    ["n1-a", stream, 0, { offset: 0, bytes: Buffer.from("ab").toString("base64"), printed, run }] as const;

  /** A wire that says at `take()` that all before it was taken. */
  function begin() {
    const clock = new ManualClock();
    const { promise, resolve } = Promise.withResolvers<NodeFinish>();
    let [finished, waiting]: [boolean, (() => void)[]] = [false, []];
    const one = new Once(times, clock, (finish) => {
      finished = true;
      resolve(finish);
    });
    const wire = { whenTaken: (then: () => void) => void waiting.push(then) } as unknown as Wire;
    const take = () => {
      for (const then of waiting.splice(0)) then();
    };
    waiting = [];
    return { once: one, clock, done: promise, wire, take, isDone: () => finished };
  }

  const phases: [string, RegExp, (one: Once, wire: Wire) => void][] = [
    ["a gateway", /did not take this node in within 40 ms/, () => {}],
    ["an approval", /no admin approved/, (one) => one.pending()],
    ["a run", /no run came/, (one, wire) => one.welcome(wire)],
    [
      "the result to be taken",
      /did not take the result/,
      (one, wire) => {
        one.welcome(wire);
        one.started("n1-a");
        one.told("n1-a", run);
      },
    ],
  ];
  for (const [what, words, lead] of phases) {
    it(`does not wait for ever for ${what}`, async () => {
      const { once: one, wire, done, clock, isDone } = begin();
      lead(one, wire);
      clock.advance(39);
      assert.ok(!isDone());
      clock.advance(1);
      const { failure, exitCode } = await done;
      assert.deepEqual([failure?.code, exitCode], ["node_timeout", null]);
      assert.match(failure?.message ?? "", words);
    });
  }

  it("is done when the gateway has the end and all of both streams, and not before", async () => {
    const { once: one, wire, take, done, isDone } = begin();
    one.welcome(wire);
    one.mayStart("n1-a");
    one.started("n1-a");
    assert.throws(() => one.mayStart("n1-b"), { code: "run_limit" });
    one.mayStart("n1-a");
    one.told("n1-a", run);
    one.read(...read("stdout", 2));
    one.read(...read("stderr", 3));
    take();
    assert.ok(!isDone(), "a byte of stderr is missing");
    one.read(...read("stderr", 2));
    assert.ok(!isDone(), "it is on its way only");
    take();
    assert.deepEqual(await done, { exitCode: 3, failure: null });
  });

  it("is not done by a question for the length of the output, nor by one about another run", async () => {
    const { once: one, wire, take, done, isDone } = begin();
    one.welcome(wire);
    one.started("n1-a");
    one.told("n1-a", run);
    one.empty("stderr");
    one.read("n1-a", "stdout", 3, { offset: 2, bytes: "", printed: 2, run });
    one.read("n1-b", "stdout", 0, { offset: 0, bytes: "", printed: 0, run });
    one.read("n1-a", "stdout", 0, { offset: 0, bytes: "YWI=", printed: 2, run: { ...run, state: "running" } });
    take();
    assert.ok(!isDone());
    one.read("n1-a", "stdout", 2, { offset: 2, bytes: "", printed: 2, run });
    take();
    assert.deepEqual(await done, { exitCode: 3, failure: null });
  });

  it("keeps the command's code when the gateway has its end, though nobody reads what it printed", async () => {
    const { once: one, wire, take, done, clock } = begin();
    one.welcome(wire);
    one.started("n1-a");
    one.told("n1-a", { ...run, exitCode: null, signal: "SIGKILL" });
    take();
    clock.advance(40);
    assert.deepEqual(await done, { exitCode: 137, failure: null });
  });
});
