/** What runs on a far side ends with its owner here, whichever part of the way between them is lost. */
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { FarSide, type FarSideOptions } from "../helpers/far-side.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { isWhole, sample } from "../helpers/long.ts";
import type { McpClient } from "../helpers/mcp-client.ts";
import { needs, needsNamespace, needsSshd } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { survivorsOf, waitForListed, waitForZero } from "../helpers/pids.ts";
import { everything, light, stubborn } from "../helpers/servers.ts";
import { tierSkip, type TierName } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { endSession } from "./place.ts";

/** For what takes as long as the machine wants. */
const boundMs = 20_000;
const graces = { stdinGraceMs: 200, termGraceMs: 300 };
const ssh = { heartbeatMs: 250, heartbeatTimeoutMs: 4000 };
/** What the far side needs for a look at all processes, and a noisy machine besides. */
const slackMs = 3000;

const readKeeperLog = (stateDir: string) =>
  globSync(join(stateDir, "log", "*"))
    .map((file) => readFileSync(file, "utf8"))
    .join("");

/** A gateway whose stubborn server of five processes, four of them hidden, and two good ones run on a far side. */
class Scene implements AsyncDisposable {
  readonly home: Home;
  readonly far: FarSide;
  readonly client: McpClient;
  gateway: Gateway;

  /** `isPublished`: one of the good ones is nobody's here. */
  static async set(
    tier: TierName,
    farTier: string,
    isPublished: boolean,
    options: FarSideOptions = {},
  ): Promise<Scene> {
    const far = (await FarSide.start(options)).ownedBy(tier);
    const home = new Home(tier);
    const there = (server: { command: string; args: string[] }) => ({ ...server, host: "ssh:far" });
    const { command, args } = stubborn(home.pidFile);
    const good = isPublished ? everything(home.pidFile) : light(home.pidFile);
    const small = light(home.pidFile);
    home.configure({
      mcpServers: {
        stubborn: there({ command, args }),
        good: there({ command: good.command, args: good.args }),
        small: there({ command: small.command, args: small.args }),
      },
      stop: graces,
      ssh,
    });
    const scene = new Scene(home, far, await Scene.#start(home, far, farTier));
    for (const client of [scene.client, scene.gateway.mcp("good"), scene.gateway.mcp("small")])
      await client.initialize();
    await waitForListed(home.pidFile, 7, boundMs);
    const [host] = await scene.hosts();
    assert.equal(host?.tier, farTier);
    return scene;
  }

  private constructor(home: Home, far: FarSide, gateway: Gateway) {
    this.home = home;
    this.far = far;
    this.gateway = gateway;
    this.client = gateway.mcp("stubborn");
  }

  static #start(home: Home, far: FarSide, farTier: string): Promise<Gateway> {
    const env = { PATH: `${far.path}:${process.env["PATH"]}`, HOLDFAST_FAR_TIER: farTier };
    return Gateway.start(home, [], env);
  }

  async again(farTier: string): Promise<void> {
    this.gateway = await Scene.#start(this.home, this.far, farTier);
  }

  async hosts(): Promise<{ host: string; tier: string; sweeping: boolean; connections: number }[]> {
    const status = (await this.gateway.rpc("gateway.status")) as { hosts: [] };
    return status.hosts;
  }

  async runs(): Promise<{ server: string; state: string; endReason: string; host: string }[]> {
    return (await this.gateway.rpc("run.list", { all: true })) as [];
  }

  kill(signal: NodeJS.Signals, which: (client: { master: boolean }) => boolean): void {
    for (const client of this.far.clients().filter(which)) process.kill(client.pid, signal);
  }

  /** Every run of the gateway is over, with this reason, and nothing is owed. */
  async recordsAgree(endReason: string): Promise<void> {
    const runs = await until(
      "the records",
      async () => {
        const found = await this.runs();
        return found.every(({ state }) => state === "exited") ? found : undefined;
      },
      { boundMs, everyMs: 50 },
    ).catch(async (cause: unknown) => {
      const states = JSON.stringify([await this.runs(), await this.hosts()]);
      throw new Error(`${states}\n${readKeeperLog(this.home.stateDir)}`, { cause });
    });
    assert.deepEqual(
      runs.map((run) => run.endReason),
      runs.map(() => endReason),
    );
    assert.deepEqual([...new Set(runs.map(({ host }) => host))], ["ssh:far"]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.gateway[Symbol.asyncDispose]();
      await this.far[Symbol.asyncDispose]();
    } finally {
      await this.home[Symbol.asyncDispose]();
    }
  }
}

const knowsMs = graces.termGraceMs + slackMs;
const silentMs = ssh.heartbeatTimeoutMs + 1000 + graces.termGraceMs + slackMs;

interface Loss {
  name: string;
  options?: FarSideOptions;
  isPublished?: true;
  lose: (scene: Scene) => Promise<void> | void;
  withinMs: number;
  /** End reason that both runs get; undefined where there is nobody left to write it. */
  reason?: string;
  mend?: (scene: Scene) => Promise<void> | void;
}

const losses: Loss[] = [
  {
    name: "the connection's ssh ends by SIGTERM",
    isPublished: true,
    lose: (scene) => scene.kill("SIGTERM", ({ master }) => master),
    withinMs: knowsMs,
    reason: "node-lost",
  },
  {
    name: "the connection's ssh is killed",
    lose: (scene) => scene.kill("SIGKILL", ({ master }) => master),
    withinMs: knowsMs,
    reason: "node-lost",
  },
  {
    name: "the connection's ssh is stopped",
    lose: (scene) => scene.kill("SIGSTOP", ({ master }) => master),
    withinMs: silentMs,
    reason: "node-lost",
  },
  {
    name: "the runs' own ssh are killed",
    lose: (scene) => scene.kill("SIGKILL", ({ master }) => !master),
    withinMs: knowsMs,
    reason: "signaled",
  },
  {
    name: "sshd's process for the connection is killed",
    lose: (scene) => {
      for (const pid of scene.far.sessions) process.kill(pid, "SIGKILL");
    },
    withinMs: knowsMs,
    reason: "node-lost",
  },
  {
    name: "the wire is cut",
    options: { wire: true },
    lose: (scene) => scene.far.cut(),
    withinMs: silentMs,
    reason: "node-lost",
    // Sooner, and the connection would live on and tell of the end over there as an ordinary one.
    mend: async (scene) => {
      const isOver = async () => (await scene.runs()).every(({ state }) => state === "lost" || state === "exited");
      await until("the loss to be known here", isOver, { boundMs, everyMs: 50 });
      scene.far.mend();
    },
  },
  {
    name: "the gateway gets SIGTERM",
    lose: (scene) => void process.kill(scene.gateway.pids.keeper, "SIGTERM"),
    withinMs: graces.stdinGraceMs + knowsMs,
  },
  {
    name: "the keeper is killed",
    isPublished: true,
    lose: (scene) => void process.kill(scene.gateway.pids.keeper, "SIGKILL"),
    withinMs: knowsMs,
  },
];

describe("a far side is empty when", { skip: needsSshd(), timeout: patiently(280_000), concurrency: 3 }, () => {
  leavesNothing();
  for (const [at, { name, options, isPublished, lose, withinMs, reason, mend }] of losses.entries()) {
    for (const tier of sample(["cgroup", "subreaper"] as const, at)) {
      const farTier = tier;
      const skip = tierSkip(tier) || (options?.wire === true && (needsNamespace("net") || needs("ip", "nsenter")));
      it(`${name}; far tier ${farTier}`, { skip }, async (t) => {
        await using scene = await Scene.set(tier, farTier, isWhole || isPublished === true, options);
        assert.equal(survivorsOf(scene.home.pidFile).length, 7);
        await lose(scene);
        const ms = await waitForZero(scene.home.pidFile, withinMs);
        t.diagnostic(`0 of 7 left after ${ms} ms`);
        await mend?.(scene);
        if (reason !== undefined) await scene.recordsAgree(reason);
      });
    }
  }

  it("a session ends, before the client hears that it did", { skip: tierSkip("cgroup") }, async () => {
    await using scene = await Scene.set("cgroup", "subreaper", true);
    // The good servers are other sessions'.
    await endSession(scene.client, scene.home.pidFile, ["everything", "light"]);
  });
});
