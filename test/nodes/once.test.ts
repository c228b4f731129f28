/** A node's ways in and out as a shell sees them: `--once`, invitations, refusals, one gateway for ever, the person at the terminal. */
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { spawn as spawnTerminal } from "@lydell/node-pty";
import { systemSources } from "../../src/random.ts";
import { readTls } from "../../src/config/tls.ts";
import { makeOwnCertificate, ownCertificateFiles } from "../../src/keeper/own-certificate.ts";
import { fingerprintOf, nodeIdOf } from "../../src/protocol/node/proof.ts";
import { mainFile, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { FakeGateway, type Caller, type Ways } from "./helpers/fake-gateway.ts";
import { NodeProcess } from "./helpers/node-process.ts";

const stop = { stdinGraceMs: 100, termGraceMs: 300 };
const proofOf = (caller: Caller) => caller.hears("prove");

describe("holdfast node run --once", { timeout: patiently(120_000), concurrency: 3 }, () => {
  leavesNothing();

  it("takes one run, and exits with its code when the gateway has all of it", async () => {
    await using gateway = await FakeGateway.open();
    await using node = new NodeProcess(gateway.url, ["--once"], { config: { stop } });
    const caller = await gateway.arrived();
    assert.equal((await proofOf(caller)).once, true);
    await caller.start("n1-a", ["sh", "-c", "seq 100000; echo err >&2; kill -TERM $$"]);
    await assert.rejects(caller.start("n1-b", ["true"]), /run_limit: this node takes one run/);
    // Its front is another one before the result is out: it still is that run.
    process.kill(node.record.front.pid, "SIGKILL");
    const again = await gateway.arrived(2);
    assert.equal(node.child.exitCode, null);
    const [out, err] = await Promise.all([again.output("n1-a"), again.output("n1-a", "stderr")]);
    assert.deepEqual([out.length, err], [588_895, "err\n"]);
    assert.equal(await node.ended(), 143);
  });

  it("ends with an error when no gateway answers, and with 128 + n on a signal", async () => {
    await using nobody = new NodeProcess("http://127.0.0.1:1", ["--once"], { config: { node: { connectMs: 700 } } });
    assert.match((await nobody.reaches("lost")).text, /ECONNREFUSED/);
    assert.equal(await nobody.ended(), 1);
    assert.match(nobody.stderr, /the gateway did not take this node in within 700 ms/);
    await using gateway = await FakeGateway.open();
    await using waiting = new NodeProcess(gateway.url, ["--once"]);
    await gateway.arrived();
    waiting.child.kill("SIGINT");
    assert.equal(await waiting.ended(), 130);
  });
});

describe("a node's way in", { timeout: patiently(120_000), concurrency: 3 }, () => {
  leavesNothing();

  it("over TLS the proof is bound to the pinned certificate, an invitation is said once, and another gateway is not served", async () => {
    const directory = mkdtempSync(join(tmpdir(), "holdfast-node-"));
    await makeOwnCertificate(directory, ["127.0.0.1"], systemSources);
    const pair = readTls(ownCertificateFiles(directory));
    rmSync(directory, { recursive: true });
    const tls = { ...pair, fingerprint: fingerprintOf(pair.cert) };
    const gateway = await FakeGateway.open({ tls });
    const { port, id } = gateway;
    const colons = tls.fingerprint.toUpperCase().match(/../g)!.join(":");
    await using first = new NodeProcess(gateway.url, ["--fingerprint", colons, "--invite", "once-only"]);
    const caller = await gateway.arrived();
    assert.deepEqual(caller.proofs, [true]);
    assert.equal((await proofOf(caller)).invite, "once-only");
    caller.socket.terminate();
    assert.equal((await proofOf(await gateway.arrived(2))).invite, null);
    await gateway[Symbol.asyncDispose]();
    // In its life another one at that place is tried again and again, since it may be gone soon; a start says it and ends.
    const other = await FakeGateway.open({ tls, port });
    await until("it was seen", () => other.callers.length > 0, { boundMs: 10_000 });
    first.child.kill("SIGTERM");
    assert.equal(await first.ended(), 0);
    const { home } = first;
    await using second = new NodeProcess(other.url, [], { home }); // it remembers the certificate
    assert.equal(await second.ended(), 1);
    assert.match(
      second.stderr,
      new RegExp(`the gateway there is ${other.id}, and this node serves ${id}.*--forget-gateway`),
    );
    assert.ok(
      other.callers.every(({ words }) => words.length === 0),
      "it was shown no proof",
    );
    await using third = new NodeProcess(other.url, ["--fingerprint", colons, "--forget-gateway"], { home });
    await other.arrived();
    third.child.kill("SIGTERM");
    assert.equal(await third.ended(), 0);
    await other[Symbol.asyncDispose]();
  });

  it("waits to be approved on one connection, and ends where the gateway refuses it, with the gateway's words", async () => {
    const ways: Ways = { answer: ({ publicKey }) => ({ type: "pending", node: nodeIdOf(publicKey) }) };
    await using gateway = await FakeGateway.open(ways);
    await using node = new NodeProcess(gateway.url);
    const { node: id } = await node.reaches("pending");
    assert.equal(id, node.record.node);
    const [caller] = gateway.callers;
    // It may not be asked anything yet.
    caller?.say({ type: "refused", code: "node_rejected", message: "not you" });
    assert.equal(await node.ended(), 1);
    assert.match(node.stderr, /the gateway refuses this node: not you/);
    assert.equal(gateway.callers.length, 1);
  });

  it("is closed to what it is told wrong: nothing is made, nothing dialled", async () => {
    await using home = new Home(bestTier());
    const state = join(home.directory, "fresh");
    const wrong: [string[], number, RegExp][] = [
      [["--port", "1"], 2, /required option '--host/],
      [["--host", "h", "--port", "0"], 2, /A port is a whole number from 1 to 65535/],
      [["--host", "h", "--ask", "maybe"], 2, /off, on-miss/],
      [["--host", "h", "--fingerprint", "12"], 2, /--fingerprint is 64 hex digits/],
      [["--host", "h", "--name", "two words"], 2, /--name "two words" is not a name for a node/],
      [["--host", "h", "--name", "local"], 2, /is not a name/],
      [["--host", "h", "--lease-max", "100"], 2, /--lease-max 100: at least 500 ms/],
      [["--host", "h", "--allow-command", "no-such"], 2, /--allow-command: no-such is not a program/],
      [["--host", "h", "--allow-directory", "/no/such"], 2, /--allow-directory: \/no\/such is not a directory/],
    ];
    const said = await Promise.all(wrong.map(([words]) => runCommand(home, ["node", "run", ...words], 30_000, state)));
    for (const [index, [words, code, text]] of wrong.entries()) {
      assert.equal(said[index]?.code, code, `${words.join(" ")}: ${said[index]?.stderr}`);
      assert.match(said[index]?.stderr ?? "", text);
    }
    assert.ok(!existsSync(state));
  });

  it("the person at its terminal decides about what the lists do not allow, and sees no control characters", async () => {
    await using gateway = await FakeGateway.open();
    await using home = new Home(bestTier(), { stop });
    const where = ["--host", "127.0.0.1", "--port", String(gateway.port), "--ask", "on-miss"];
    const own = ["--state", home.stateDir, "--config", home.configFile];
    const env = { PATH: process.env["PATH"] ?? "", HOME: home.directory };
    const terminal = spawnTerminal(process.execPath, ["--disable-sigusr1", mainFile, "node", "run", ...where, ...own], {
      env,
      cols: 200,
    });
    let shown = "";
    terminal.onData((text) => (shown += text));
    const gone = new Promise((resolve) => terminal.onExit(resolve));
    const asked = (count: number) =>
      until("a question", () => shown.split("[y/N]").length > count, { boundMs: 15_000 });
    try {
      const caller = await gateway.arrived();
      const yes = caller.start("n1-a", ["sh", "-c", "echo '\u001b[2J'"]);
      await asked(1);
      terminal.write("y\r");
      assert.equal((await yes).command, "sh -c echo '\u001b[2J'");
      // Typed before the question, it is no answer to it.
      terminal.write("y\r");
      await until("it is typed", () => shown.split("y\r\n").length > 2, { boundMs: 5000 });
      const no = caller.start("n1-b", ["true"]);
      await asked(2);
      terminal.write("\r");
      await assert.rejects(
        no,
        /exec_refused: true \(.*\) is not in the node's allowCommands \(which is empty\); the person at the node's terminal said no/,
      );
      assert.match(shown, /the gateway wants to run: sh -c "echo '\\u001b\[2J'"/);
      assert.ok(!shown.includes("\u001b[2J"));
      await caller.ended("n1-a");
      // One that waits for an answer holds nobody up.
      caller.start("n1-c", ["true"]).catch(() => {});
      await asked(3);
    } finally {
      terminal.write("\u0003");
      await gone;
    }
    assert.match(shown, /stopping on SIGINT/);
  });
});
