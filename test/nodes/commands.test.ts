/** From "nodes invite" to "nodes revoke", over TLS with a certificate of the gateway's own, as two people would do it; and the gateway's own end. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type AddressInfo } from "node:net";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { it } from "node:test";
import type { RunView } from "../../src/protocol/run.ts";
import type { NodeView } from "../../src/protocol/api/node.ts";
import { mainFile, spawnOnTier } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { NodeProcess } from "./helpers/node-process.ts";

leavesNothing();
const quick = { stop: { stdinGraceMs: 100, termGraceMs: 300 } };

/** One that the next life can take again, since nodes know no other. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "0.0.0.0");
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, "close");
  return port;
}

/** `holdfast` on that home, to its end. */
async function holdfast(
  home: Home,
  ...words: string[]
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const args = [mainFile, "--state", home.stateDir, "--config", home.configFile, ...words];
  const child = spawnOnTier(home, args, "pipe");
  const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!), once(child, "close")]);
  return { code: child.exitCode, stdout, stderr };
}

async function good(home: Home, ...words: string[]): Promise<string> {
  const { code, stdout, stderr } = await holdfast(home, ...words);
  assert.equal(code, 0, `${words.join(" ")}: ${stderr}`);
  return stdout;
}

it(
  "people let nodes in and put them out with commands, and a gateway that ends leaves nothing on them",
  { timeout: patiently(240_000) },
  async () => {
    await using home = new Home(bestTier(), { ...quick, bind: ["0.0.0.0"], port: await freePort() });
    const gateway = holdfast(home, "gateway");
    await using _stopped = {
      async [Symbol.asyncDispose]() {
        await holdfast(home, "stop");
        await gateway;
      },
    };
    const record = () =>
      JSON.parse(readFileSync(join(home.stateDir, "keeper.json"), "utf8")) as { url: string; epoch: number };
    const serves = (epoch: number) =>
      until(
        `a gateway of epoch ${epoch}`,
        () => holdfast(home, "status").then(({ code }) => code === 0 && record().epoch === epoch),
        {
          boundMs: 20_000,
          everyMs: 50,
        },
      );
    await serves(1);
    const url = record().url.replace("0.0.0.0", "127.0.0.1");
    assert.match(await good(home, "nodes", "list"), /^no node is known; `holdfast nodes invite`/);

    // By invitation: the line is all that the other machine is told.
    const { stdout: line, stderr: about } = await holdfast(
      home,
      "nodes",
      "invite",
      "--name",
      "mill",
      "--host",
      "127.0.0.1",
    );
    assert.match(
      line,
      /^holdfast node run --host 127\.0\.0\.1 --port \d+ --invite [\w-]{32} --fingerprint [0-9a-f]{64}\n$/,
    );
    assert.match(about, /it works once, until/);
    const words = line.trim().split(" ").slice(7);
    await using mill = new NodeProcess(url, words, { config: quick });
    // By an admin's word: this one has only the fingerprint.
    await using press = new NodeProcess(url, ["--name", "press", ...words.slice(2)], { config: quick });
    await Promise.all([mill.reaches("connected"), press.reaches("pending")]);
    const [waiting] = JSON.parse(await good(home, "nodes", "pending", "--json")) as NodeView[];
    assert.deepEqual([waiting?.name, waiting?.state, waiting?.waiting], ["press", "pending", true]);
    const refused = await holdfast(home, "nodes", "run", "press", "--", "true");
    assert.match(refused.stderr, /node press is pending, not approved; `holdfast nodes approve` lets it in/);
    const taken = await holdfast(home, "nodes", "approve", "press", "--name", "mill");
    assert.match(taken.stderr, /another node has the name mill; give this one another with --name/);
    await using namesake = new NodeProcess(url, ["--name", "mill", ...words.slice(2)], { config: quick });
    await namesake.reaches("pending");
    for (const verb of ["approve", "reject", "forget"]) {
      const unclear = await holdfast(home, "nodes", verb, "mill");
      assert.equal(unclear.code, 1, verb);
      assert.match(
        unclear.stderr,
        /2 nodes are called mill: [0-9a-f]{12} \((approved|pending)\), [0-9a-f]{12} \((approved|pending)\); name the one you mean by its id/,
      );
    }
    const both = JSON.parse(await good(home, "nodes", "list", "--json")) as NodeView[];
    const unwanted = both.find(({ name, state }) => name === "mill" && state === "pending")?.id ?? "";
    assert.equal(await good(home, "nodes", "reject", unwanted.slice(0, 12)), "mill is rejected\n");
    assert.equal(await good(home, "nodes", "forget", unwanted), "mill is forgotten\n");
    assert.equal(await good(home, "nodes", "approve", "press"), "press is approved\n");
    await press.reaches("connected");
    assert.equal(await good(home, "nodes", "rename", "press", "loom"), `${waiting?.id} is called loom now\n`);
    assert.match(await good(home, "nodes", "list"), /^NAME +STATE.*\nloom +connected .*\nmill +connected .* now\n$/);
    assert.equal(await good(home, "nodes", "run", "loom", "--", "echo", "over TLS"), "over TLS\n");
    assert.match(
      await good(home, "nodes", "describe", "mill"),
      /machine .*linux-.*\n.*\n *link +connected from loopback/,
    );
    assert.match(await good(home, "status"), /nodes +2 connected, 0 absent; 0 runs/);

    // Put out: what it runs is ended, and it does not come back.
    const start = async (node: string) =>
      (JSON.parse(await good(home, "exec", "--background", "--json", "--host", node, "--", "sleep", "1000")) as RunView)
        .id;
    const onLoom = await start("loom");
    assert.equal(await good(home, "nodes", "revoke", "loom"), "loom is revoked\n");
    assert.equal(await press.ended(), 1);
    assert.match(press.stderr, /revoked/);
    const kept = await holdfast(home, "nodes", "forget", "mill");
    assert.match(kept.stderr, /node mill is approved; `holdfast nodes revoke` ends what runs there/);

    // Everything anew: the run ends with the life in which it was started, and the node comes back to the next one.
    const onMill = await start("mill");
    await good(home, "restart", "--all");
    await serves(2);
    await mill.reaches("connected", 2);
    const ended = JSON.parse(await good(home, "ps", "--all", "--json")) as RunView[];
    const reasons = new Map(ended.map(({ id, state, endReason }) => [id, `${state} ${endReason}`]));
    assert.deepEqual([reasons.get(onLoom), reasons.get(onMill)], ["exited cancelled", "exited shutdown"]);
    assert.deepEqual(mill.home.marked("HOLDFAST_RUN"), [], "nothing runs over there");
    assert.equal(await good(home, "nodes", "forget", "loom"), "loom is forgotten\n");
    await good(home, "stop");
    await mill.reaches("lost", 2);
  },
);
