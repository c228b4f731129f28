/** A real gateway for a test: the compiled program, started as a user starts it, on a port and in a home of its own. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { closeSync, readFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { join } from "node:path";
import { keeperFlags } from "../../src/cli/become-keeper.ts";
import type { Home } from "./home.ts";
import { exchange } from "./http.ts";
import { McpClient } from "./mcp-client.ts";
import { isLive, statOf } from "./pids.ts";
import { compileCache, mainFile } from "./program.ts";
import { launchOn, tierProblem } from "./tiers.ts";
import { until } from "./until.ts";

export { mainFile };

/** `<state>/keeper.json`, by which a gateway is found. */
interface KeeperFile {
  pid: number;
  startTime: string;
  bootId: string;
  url: string;
  epoch: number;
  front: { pid: number };
  guardian: { pid: number };
}

/** A start takes half a second on a quiet machine; many run at a time on slow ones. */
const startBoundMs = 60_000;
const stopBoundMs = 20_000;

/** The compiled program on the home's tier, as a user without an environment starts it. */
export function spawnOnTier(
  home: Home,
  words: string[],
  output: "log" | "pipe",
  given: Record<string, string> = {},
  before: string[] = [],
): ChildProcess {
  const { prefix, identity, env } = launchOn(home.tier);
  const [command = "", ...rest] = [...before, ...prefix, process.execPath, ...words];
  const log = output === "log" ? home.openLog() : undefined;
  const own = { PATH: process.env["PATH"] ?? "", HOME: home.directory, TMPDIR: home.directory };
  try {
    return spawn(command, rest, {
      ...identity,
      cwd: home.directory,
      env: { ...compileCache, ...own, ...env, ...given },
      stdio: ["ignore", log ?? "pipe", log ?? "pipe"],
    });
  } finally {
    if (log !== undefined) closeSync(log);
  }
}

/** Runs one `holdfast` command on the home to its end. */
export async function runCommand(
  home: Home,
  words: string[],
  boundMs = 30_000,
  stateDir = home.stateDir,
): Promise<{ code: number | null; stdout: string; stderr: string }> {
  const child = spawnOnTier(home, [mainFile, ...words, "--state", stateDir], "pipe");
  const timer = setTimeout(() => child.kill("SIGKILL"), boundMs);
  try {
    const closed = once(child, "close");
    const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!)]);
    await closed;
    return { code: child.exitCode, stdout, stderr };
  } finally {
    clearTimeout(timer);
  }
}

function readKeeperFile(home: Home): KeeperFile | undefined {
  try {
    const file = JSON.parse(readFileSync(join(home.stateDir, "keeper.json"), "utf8")) as KeeperFile | null;
    return file?.front === undefined ? undefined : file;
  } catch {
    return undefined; // not there yet, or being written
  }
}

async function isReady(file: KeeperFile): Promise<boolean> {
  try {
    return (await exchange(`${file.url}/readyz`, { boundMs: 1000 })).status === 200;
  } catch {
    return false; // nobody listens yet
  }
}

/** Gateways that this process started and that have not ended. */
const startedHere = new Set<{ pid: number; startTime: string }>();

/** Ends them in order, for a program that is interrupted itself. */
export async function stopEveryGateway(): Promise<void> {
  const live = [...startedHere].filter(isLive);
  for (const { pid } of live) process.kill(pid, "SIGTERM");
  await until("every gateway has stopped", () => !live.some(isLive), { boundMs: stopBoundMs });
}

export class Gateway {
  readonly home: Home;
  /** How long the start took, from spawn to /readyz. */
  readonly startMs: number;
  readonly #startTimes = new Map<number, string>();
  #file: KeeperFile;

  private constructor(home: Home, file: KeeperFile, startMs: number) {
    this.home = home;
    this.#file = file;
    this.startMs = startMs;
  }

  /**
   * Starts a gateway on a home and waits until it serves. `flags` are Node's own, for the keeper; `env` is added to its
   * environment; `main` is another build; `before` are the words of a program that becomes it, such as prlimit.
   */
  static async start(
    home: Home,
    flags: string[] = [],
    env: Record<string, string> = {},
    main = mainFile,
    before: string[] = [],
  ): Promise<Gateway> {
    const problem = tierProblem(home.tier);
    if (problem !== undefined) throw new Error(problem);
    const began = performance.now();
    // Without them a gateway replaces itself by one with them, as test/start-script.test.ts lets it: half as long again.
    const words = [...keeperFlags, ...flags, main, "gateway", "--state", home.stateDir, "--config", home.configFile];
    const child = spawnOnTier(home, words, "log", env, before);
    child.unref();
    const started = { pid: child.pid ?? 0, startTime: statOf(child.pid ?? 0)?.startTime ?? "" };
    home.hold("gateway", started);
    startedHere.add(started);
    child.once("exit", () => startedHere.delete(started));
    const ready = async () => {
      if (child.exitCode !== null || child.signalCode !== null)
        throw new Error(`the gateway ended at its start:\n${home.log}`);
      const file = readKeeperFile(home);
      return file !== undefined && isLive(file) && (await isReady(file)) ? file : undefined;
    };
    const file = await until("a gateway that serves", ready, { boundMs: startBoundMs }).catch((cause: unknown) => {
      throw new Error(`${String(cause)}\n--- its output\n${home.log.slice(-4000)}`, { cause });
    });
    const gateway = new Gateway(home, file, Math.round(performance.now() - began));
    gateway.#holdAll();
    const { tier } = (await gateway.rpc("gateway.status")) as { tier: string };
    if (tier !== home.tier) throw new Error(`asked for the ${home.tier} tier, the gateway runs on ${tier}`);
    return gateway;
  }

  #holdAll(): void {
    for (const [who, pid] of Object.entries(this.pids)) {
      const stat = statOf(pid);
      if (stat === undefined) continue;
      this.#startTimes.set(pid, stat.startTime);
      this.home.hold(who, { pid, startTime: stat.startTime });
    }
  }

  /** Waits until the file names other processes than the given ones, and they serve. */
  async renewed(old: { keeperEpoch?: number; front?: number }): Promise<void> {
    const ready = async () => {
      const file = readKeeperFile(this.home);
      if (file === undefined || file.epoch === old.keeperEpoch || file.front.pid === old.front) return undefined;
      return isLive(file) && isLive(file.front) && (await isReady(file)) ? file : undefined;
    };
    this.#file = await until("the gateway serves again", ready, { boundMs: startBoundMs });
    this.#holdAll();
  }

  get pids(): { keeper: number; front: number; guardian: number } {
    return { keeper: this.#file.pid, front: this.#file.front.pid, guardian: this.#file.guardian.pid };
  }

  get epoch(): number {
    return this.#file.epoch;
  }

  get url(): string {
    return this.#file.url;
  }

  get token(): string {
    return readFileSync(join(this.home.stateDir, "token"), "utf8").trim();
  }

  mcp(server: string): McpClient {
    return new McpClient(`${this.url}/mcp/${server}`, this.token);
  }

  async rpc(method: string, params: unknown = {}): Promise<unknown> {
    const headers = { authorization: `Bearer ${this.token}`, "content-type": "application/json" };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method, params });
    const reply = await exchange(`${this.url}/rpc`, { method: "POST", headers, body, boundMs: 30_000 });
    const answer = JSON.parse(reply.text) as { result?: unknown; error?: { message: string } };
    if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result;
  }

  /** Kills in one instant: all are stopped first, so that none of them sees another die and acts on it. */
  killAtOnce(pids: number[]): void {
    for (const signal of ["SIGSTOP", "SIGKILL"] as const) for (const pid of pids) process.kill(pid, signal);
  }

  /** SIGTERM, and the wait for the keeper's end. */
  async stop(): Promise<void> {
    const keeper = { pid: this.#file.pid, startTime: this.#file.startTime };
    if (!isLive(keeper)) return;
    process.kill(keeper.pid, "SIGTERM");
    await until("the gateway has stopped", () => !isLive(keeper), { boundMs: stopBoundMs });
  }

  /** Waits until keeper, front and guardian are gone, after the test killed them. */
  async ended(): Promise<void> {
    const known = Object.values(this.pids).map((pid) => ({ pid, startTime: this.#startTimes.get(pid) ?? "" }));
    await until("keeper, front and guardian are gone", () => !known.some(isLive), { boundMs: stopBoundMs });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }
}
