/**
 * Whatever happens to a node, its link or its gateway: what runs there ends or goes on as the lease says, within the lease and
 * two seconds, nothing is lost or doubled, and both records say the same in the end.
 */
import assert from "node:assert/strict";
import { copyFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { after, before, describe, it } from "node:test";
import { Home } from "../helpers/home.ts";
import { needs, needsNamespace } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { isLive, readListed, survivorsOf } from "../helpers/pids.ts";
import { bestTier, giveTo } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { NodeProcess } from "./helpers/node-process.ts";
import { agreeMs, boundMs, counted, Place, shortLeaseMs } from "./helpers/place.ts";

leavesNothing();

const skip = needsNamespace("net") || needs("ip", "nsenter");
const withinMs = shortLeaseMs + agreeMs;
/** Gives a keeper a clock that SIGURG moves. */
const flags = ["--import", new URL("../fixtures/jumping-clock.mjs", import.meta.url).href];
const signal = (name: NodeJS.Signals, pids: number[]) => pids.forEach((pid) => process.kill(pid, name));

describe("nodes and their gateways in trouble", { timeout: patiently(150_000), concurrency: 3 }, () => {
  describe("nothing is lost within the lease:", { concurrency: 3, skip }, () => {
    let place: Place;
    before(async () => {
      place = await Place.make({ wires: true });
    });
    after(() => place[Symbol.asyncDispose]());

    it("a link that drops and is back within the lease costs nothing: all output, once, and the exit code", async () => {
      const node = await place.node("dropped");
      const { id, heard } = await node.count(300);
      for (let round = 0; round < 2; round++) {
        node.host?.cut();
        await node.isHere(false);
        node.host?.mend();
        await node.isHere();
      }
      assert.equal(await heard, counted(300));
      assert.equal(readListed(node.pidFile).length, 1, "started once");
      assert.equal((await node.gatewaySays(id, "exited exited", boundMs)).exitCode, 7);
      await node.bothSay(id, "exited");
    });

    it("a node's front that is killed is replaced, and what runs goes on", async () => {
      const node = await place.node("front");
      const { id, heard } = await node.count(200);
      for (let round = 0; round < 2; round++) {
        const { front } = node.pids;
        process.kill(front, "SIGKILL");
        await until("another front", () => node.pids.front !== front, { boundMs });
        await node.process.reaches("connected", round + 2);
      }
      assert.equal(await heard, counted(200));
      assert.equal(readListed(node.pidFile).length, 1);
      await node.bothSay(id, "exited");
    });

    it("a second machine with the same key is refused, and the first one does not notice", async () => {
      const node = await place.node("first");
      const { id, heard } = await node.count(150);
      const home = new Home(bestTier());
      const key = join(home.stateDir, "node-key.pem");
      copyFileSync(join(node.process.home.stateDir, "node-key.pem"), key);
      giveTo(home.tier, key);
      const { hostname, port } = new URL(place.gateway.url);
      const { fingerprint } = (await place.gateway.rpc("node.invite")) as { fingerprint: string };
      const words = ["--name", "twin", "--fingerprint", fingerprint];
      const twin = new NodeProcess(`https://${hostname}:${port}`, words, { home, ownsHome: true });
      assert.equal(await twin.ended(), 1);
      assert.match(JSON.stringify(twin.steps) + twin.stderr, /another node with the same key is connected/);
      await twin[Symbol.asyncDispose]();
      assert.equal(await heard, counted(150));
      assert.equal(node.process.steps.filter(({ phase }) => phase === "lost").length, 0);
      await node.bothSay(id, "exited");
    });
  });

  describe("nothing is left past the lease:", { concurrency: 1, skip }, () => {
    let place: Place;
    before(async () => {
      place = await Place.make({ wires: true, leaseMs: shortLeaseMs });
    });
    after(() => place[Symbol.asyncDispose]());

    describe("of a node", { concurrency: 4 }, () => {
      it("a link that is gone for longer ends what ran over there, and callers hear of it", async () => {
        const node = await place.node("cut");
        const id = await node.crowd();
        const waiting = place.gateway.rpc("run.wait", { id, waitMs: 20_000 });
        waiting.catch(() => {}); // it is looked at below
        node.host?.cut();
        const empty = node.isEmpty(withinMs);
        await Promise.all([empty, node.gatewaySays(id, "lost node-lost", withinMs)]);
        await assert.rejects(waiting, /node cut did not come back within its lease/);
        await assert.rejects(place.gateway.rpc("run.start", { host: "cut", argv: ["true"] }), /cut is not connected/);
        node.host?.mend();
        await node.bothSay(id, "lease-expired");
      });

      it("a node that is frozen is lost here, and ends what it ran as soon as it moves again", async () => {
        const node = await place.node("frozen");
        const id = await node.crowd();
        const pids = Object.values(node.pids);
        signal("SIGSTOP", pids);
        await node.gatewaySays(id, "lost node-lost", withinMs);
        assert.equal(survivorsOf(node.pidFile).length, 8, "nobody can end them");
        // Its front wakes last: until then only the node's own lease can end the run, and not the gateway's word.
        const { front, ...others } = node.pids;
        signal("SIGCONT", Object.values(others));
        await node.isEmpty(agreeMs);
        signal("SIGCONT", [front]);
        await node.bothSay(id, "lease-expired");
      });

      it("a node's keeper that is killed takes all that ran with it, and the next one says so", async () => {
        const node = await place.node("keeper");
        const id = await node.crowd();
        const { keeper, guardian } = node.pids;
        process.kill(keeper, "SIGKILL");
        await node.isEmpty(agreeMs);
        await until("an empty node", () => !isLive({ pid: guardian }), { boundMs });
        await node.gatewaySays(id, "lost null", agreeMs);
        await node.start();
        await node.bothSay(id, "keeper-lost");
      });

      it("a machine that restarts has nothing of before, and says so", async () => {
        const node = await place.node("rebooted");
        const id = await node.crowd();
        const { keeper, guardian, front } = node.pids;
        const all = [guardian, keeper, front, ...survivorsOf(node.pidFile).map(({ pid }) => pid)];
        signal("SIGSTOP", all);
        signal("SIGKILL", all);
        await node.isEmpty(agreeMs);
        await until("a machine that is off", () => !all.some((pid) => isLive({ pid })), { boundMs });
        // What a machine's restart changes besides.
        // The last threads of a keeper that was killed have the lock a moment longer than it is seen.
        const ledger = new DatabaseSync(join(node.process.home.stateDir, "ledger.sqlite"), { timeout: 10_000 });
        const other = "00000000-0000-4000-8000-000000000000";
        ledger.prepare("update runs set boot_id = ?").run(other);
        ledger.prepare("update epochs set boot_id = ?").run(other);
        ledger.close();
        await node.gatewaySays(id, "lost node-lost", withinMs);
        await node.start();
        await node.bothSay(id, "keeper-lost");
      });
    });

    it("a gateway that is frozen loses what ran on its nodes to the lease, whatever their clocks say, and believes them when it moves again", async () => {
      const node = await place.node("patient", { flags });
      const id = await node.crowd();
      const pids = Object.values(place.gateway.pids);
      signal("SIGSTOP", pids);
      const empty = node.isEmpty(withinMs);
      // A day forward, then to a day before the truth: by such a clock no lease would ever be over.
      for (const jumps of [1, 2]) {
        process.kill(node.pids.keeper, "SIGURG");
        const jumped = () => node.process.stderr.split("clock jumped").length - 1 === jumps;
        await until("a clock that jumped", jumped, { boundMs });
      }
      await empty;
      signal("SIGCONT", pids);
      await node.bothSay(id, "lease-expired");
    });

    it("a gateway that is killed leaves nothing on its nodes for longer than the lease, and the next one has it on record", async () => {
      const node = await place.node("left");
      const id = await node.crowd();
      place.gateway.killAtOnce(Object.values(place.gateway.pids));
      await node.isEmpty(withinMs);
      await place.gateway.ended();
      await place.start();
      await node.bothSay(id, "lease-expired");
    });
  });

  describe("nothing is lost when a gateway is not itself:", { concurrency: 2 }, () => {
    let place: Place;
    before(async () => {
      place = await Place.make({ flags });
    });
    after(() => place[Symbol.asyncDispose]());

    it("a gateway whose front is killed has another one, and what runs on its nodes goes on", async () => {
      const node = await place.node("kept");
      const { id, heard } = await node.count(300);
      const { front } = place.gateway.pids;
      process.kill(front, "SIGKILL");
      await place.gateway.renewed({ front });
      await node.process.reaches("connected", 2);
      assert.equal(await heard, counted(300));
      assert.equal(readListed(node.pidFile).length, 1);
      await node.bothSay(id, "exited");
    });

    it("a gateway and its node are not misled by clocks that jump a day forward and two back", async () => {
      const node = await place.node("misled", { flags });
      const { id, heard } = await node.count(400);
      const keepers = [place.gateway.pids.keeper, node.pids.keeper];
      const printed = async (bytes: number) => {
        const look = async () => ((await place.gateway.rpc("run.log", { id })) as { printed: number }).printed >= bytes;
        await until(`${bytes} bytes of output`, look, { boundMs, everyMs: 50 });
      };
      for (const [jump, bytes] of [300, 900].entries()) {
        signal("SIGURG", keepers);
        const told = () => [place.home.log, node.process.stderr].map((text) => text.split("clock jumped").length - 1);
        await until("two clocks that jumped", () => told().every((times) => times === jump + 1), { boundMs });
        await printed(bytes);
      }
      assert.equal(await heard, counted(400));
      await node.bothSay(id, "exited");
    });
  });
});
