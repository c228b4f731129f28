/** A server that does not answer costs a client of the others two seconds once, and the clients after it nothing. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { createServer, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import type { AddressInfo } from "node:net";
import { setImmediate } from "node:timers/promises";
import type { FrontServer } from "../../src/protocol/keeper/front-config.ts";
import { Breaker } from "../../src/mcp/servers/breaker.ts";
import { StartGate } from "../../src/mcp/servers/start-gate.ts";
import type { FakeKeeper, FakeServer } from "../gateway/helpers/fake-keeper.ts";
import { ManualClock } from "../helpers/manual-clock.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";
import { actor, heardOf, join as enter, namesOf, startFront as startAnyFront, startsOf } from "./helpers/assembled.ts";
import { scripted, Talk } from "./helpers/talk.ts";

leavesNothing();

const budgetMs = 2000;
/** What a busy machine adds to it. */
const slackMs = 1500;

const never = { command: "/bin/sleep", args: ["1000"] };
/** Answers `initialize` and nothing else. */
const listless = {
  command: "sh",
  args: [
    "-c",
    `read -r line; id=$(printf '%s' "$line" | sed 's/.*"id":\\([0-9]*\\).*/\\1/')
printf '{"jsonrpc":"2.0","id":%s,"result":{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},"serverInfo":{"name":"l","version":"1"}}}\\n' "$id"
exec cat >/dev/null`,
  ],
};
const exiting = { command: "sh", args: ["-c", "exit 3"] };
const named = (name: string) => `${name}__do`;

/** With the limit as it is by default. */
const startFront = (servers: Record<string, FakeServer>, settings: Record<string, Partial<FrontServer>> = {}) =>
  startAnyFront(servers, settings, { listMs: budgetMs });

async function timed<T>(action: () => Promise<T>): Promise<[T, number]> {
  const began = performance.now();
  return [await action(), performance.now() - began];
}

/** A session, its list of tools, and how long both took together. */
async function listOf(keeper: FakeKeeper): Promise<[string[], number]> {
  return timed(async () => namesOf(await enter(keeper)));
}

describe("beside a server that does not answer", { timeout: patiently(120_000) }, () => {
  let mute: Server;
  const sockets = new Set<Socket>();
  before(async () => {
    mute = createServer((socket) => void sockets.add(socket.on("error", () => {})));
    await new Promise<void>((resolve) => mute.listen(0, "127.0.0.1", resolve));
  });
  after(() => {
    for (const socket of sockets) socket.destroy();
    mute.close();
  });
  const remote = () => ({ kind: "http" as const, url: `http://127.0.0.1:${(mute.address() as AddressInfo).port}/mcp` });

  const kinds = {
    "that never says anything": { servers: { never }, settings: {} },
    "that answers initialize and never tells its tools": { servers: { never: listless }, settings: {} },
    "that takes connections and never answers": { servers: { never }, settings: () => ({ never: remote() }) },
    "that exits at once": { servers: { never: exiting }, settings: {} },
    "of each kind, more of them than may start at one time": {
      servers: { never, n2: never, n3: never, n4: listless, n5: listless, n6: exiting, n7: never },
      settings: () => ({ n7: remote() }),
    },
  };
  for (const [what, { servers, settings }] of Object.entries(kinds))
    it(`${what}, initialize and tools/list take ${budgetMs} ms together, and for later sessions no time`, async () => {
      const given = typeof settings === "function" ? settings() : settings;
      await using keeper = await startFront({ good: actor("good", "do"), ...servers }, given);
      const [tools, ms] = await listOf(keeper);
      assert.deepEqual(tools, [named("good")]);
      assert.ok(ms < budgetMs + patiently(slackMs), `${ms} ms`);
      const later = await Promise.all(Array.from({ length: 4 }, () => listOf(keeper)));
      const isExit = JSON.stringify(servers).includes("exit 3");
      for (const [names, laterMs] of later) {
        assert.deepEqual(names, [named("good")]);
        // One that exits is tried again while its pauses are short.
        assert.ok(laterMs < (isExit ? budgetMs + slackMs : slackMs), `${laterMs} ms`);
      }
    });

  it("that comes up late, clients are told that the lists changed, and find it in them", async () => {
    const flag = join(tmpdir(), `holdfast-late-${process.pid}`);
    const wait = `until [ -e "$0" ]; do sleep 0.05; done; exec "$@"`;
    const { command, args } = actor("late", "do");
    const late = { command: "sh", args: ["-c", wait, flag, command, ...args] };
    await using keeper = await startFront({ good: actor("good", "do"), late });
    try {
      const talks = [await enter(keeper), await enter(keeper)];
      for (const talk of talks) assert.deepEqual(await namesOf(talk), [named("good")]);
      const streams = await Promise.all(talks.map((talk) => talk.listen()));
      writeFileSync(flag, "");
      for (const [index, talk] of talks.entries()) {
        using stream = streams[index]!;
        await heardOf(stream, "notifications/tools/list_changed");
        assert.deepEqual(await namesOf(talk), [named("good"), named("late")]);
      }
    } finally {
      rmSync(flag, { force: true });
    }
  });

  it("a client is offered every list from the beginning, since a late server may have any of them", async () => {
    await using keeper = await startFront({ good: actor("good", "do"), never });
    const talk = new Talk(`${keeper.url}/mcp`);
    const [answer] = (await talk.initialize()).messages;
    const { tools, prompts, resources } = answer!.result!["capabilities"] as Record<string, unknown>;
    for (const offered of [tools, prompts, resources])
      assert.equal((offered as { listChanged?: boolean } | undefined)?.listChanged, true);
  });

  it("and that many sessions want to list, one look at a time is taken", async () => {
    await using keeper = await startFront({ good: actor("good", "do"), never });
    await listOf(keeper);
    await Promise.all(Array.from({ length: 8 }, () => listOf(keeper)));
    assert.ok(startsOf(keeper, "never") <= 2, `${startsOf(keeper, "never")} starts`);
  });

  it("a session on that server alone is told so at once when it failed too often", async () => {
    const settings = { never: { connectionTimeoutMs: 100 } };
    await using keeper = await startFront(
      { never: { command: process.execPath, args: [scripted, "silence"] } },
      settings,
    );
    const begin = () => timed(() => new Talk(`${keeper.url}/mcp/never`).initialize());
    for (let count = 1; count <= 4; count++) {
      const [{ status }] = await begin();
      assert.equal(status, 502);
    }
    const [refused, ms] = await begin();
    assert.equal(refused.status, 502);
    assert.match(refused.text, /failed \d times in a row/);
    assert.ok(ms < patiently(1000), `${ms} ms`);
    assert.equal(startsOf(keeper, "never"), 4);
  });
});

describe("a silent server's starts", () => {
  it("hold no place from those that answer, and are one at a time for lists", async () => {
    const gate = new StartGate(1);
    const breaker = new Breaker("s", new ManualClock());
    assert.equal(breaker.waitedInVain(), false, "nothing was started that could be silent");
    const over = await breaker.enter(gate);
    assert.equal(gate.inside, 1);
    assert.equal(breaker.waitedInVain(), true);
    assert.equal(gate.inside, 0);
    const again = await breaker.enter(gate);
    assert.equal(gate.inside, 0);
    const { promise, resolve } = Promise.withResolvers<void>();
    const looks: string[] = [];
    const look = (name: string) => breaker.look(() => promise.then(() => void looks.push(name)));
    const all = [look("a"), look("b")];
    await setImmediate();
    resolve();
    await Promise.all(all);
    assert.deepEqual(looks, ["a"], "it stayed silent, so nobody else needs to look now");
    breaker.cameUp();
    over();
    again();
    assert.equal(gate.inside, 0);
  });
});
