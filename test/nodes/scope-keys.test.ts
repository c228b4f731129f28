/** One key, one run: a start that replaces ends what ran under its key first, on whatever host either of them is. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { RunView } from "../../src/protocol/run.ts";
import { Background } from "../helpers/background.ts";
import type { Gateway } from "../helpers/gateway.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { needsSshd } from "../helpers/needs.ts";
import { patiently } from "../helpers/until.ts";
import { Place } from "../ssh/place.ts";
import { NodeProcess } from "./helpers/node-process.ts";

leavesNothing();

const rounds = 2;

describe(
  "a scope key of a gateway with a node and an ssh host",
  { timeout: patiently(240_000), skip: needsSshd() },
  () => {
    let place: Place;
    let gateway: Gateway;
    let runs: Background;
    let far: NodeProcess;
    before(async () => {
    place = await Place.make();
    gateway = await place.serve({}, { exec: { enabled: true, allowHosts: ["ssh:far"] } });
    runs = new Background(gateway);
    const { invite } = await runs.call("node.invite", { name: "mill" });
    far = new NodeProcess(gateway.url, ["--invite", invite], { config: { stop: { stdinGraceMs: 100, termGraceMs: 300 } } });
    await far.reaches("connected");
  }); // prettier-ignore
    after(async () => {
      await far[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    });

    const start = (host: string, scopeKey: string) =>
      runs.start({ host, scopeKey, replaceExistingScope: true, argv: ["sleep", "1000"] });
    const live = async (scopeKey: string) =>
      ((await gateway.rpc("run.list", {})) as RunView[]).filter((run) => run.scopeKey === scopeKey);

    const hosts = ["local", "mill", "ssh:far"];
    for (const one of hosts) {
      for (const other of hosts) {
        it(`has one run after overlapping starts: ${one}, then ${other}`, async () => {
          for (let round = 0; round < rounds; round += 1) {
            const key = `${one}-${other}-${round}`;
            const told = await Promise.allSettled([start(one, key), start(other, key)]);
            const alive = await live(key);
            assert.equal(alive.length, 1, JSON.stringify(alive.map(({ id, host }) => [id, host])));
            const [run] = alive;
            // The later one is what the caller has; the earlier one was replaced, or never started.
            const last = told[1];
            assert.ok(last?.status === "fulfilled" && last.value.id === run?.id, JSON.stringify(told));
            await runs.call("run.kill", { id: run?.id ?? "", now: true });
          }
        });

        it(`has one run after starts one after another: ${one}, then ${other}`, async () => {
          const key = `row-${one}-${other}`;
          const first = await start(one, key);
          const second = await start(other, key);
          assert.deepEqual(
            (await live(key)).map(({ id }) => id),
            [second.id],
          );
          const all = (await gateway.rpc("run.list", { all: true })) as RunView[];
          assert.equal(all.find(({ id }) => id === first.id)?.endReason, "scope-replaced");
          await runs.call("run.kill", { id: second.id, now: true });
        });
      }
    }
  },
);
