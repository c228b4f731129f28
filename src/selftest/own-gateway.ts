/** The self-test's own gateway: started, killed and restarted in one state directory, used as by clients. */
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname, extname, join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { abortAfter, systemClock } from "../clock.ts";
import { GatewayClient } from "../client/rpc.ts";
import { exchange, type Request } from "../client/trust.ts";
import { tokenOf } from "../client/address.ts";
import { baseEnvironment, mergeEnvironment } from "../platform/environment.ts";
import { platform } from "../platform/index.ts";
import { guardVariable } from "../platform/marker.ts";
import type { Helper, ProcessInfo } from "../platform/types.ts";
import { untilTrue } from "../platform/wait.ts";
import { readKeeperRecord, statePaths, type KeeperRecord } from "../keeper/state-directory.ts";
import { readListed } from "./listed.ts";
import { ownTrees, serverProcesses } from "./trees.ts";
import type { TierName } from "./types.ts";

const main = fileURLToPath(new URL(`../main${extname(import.meta.url)}`, import.meta.url));

/** A start takes half a second on a quiet machine. */
const startBoundMs = 20_000;
const stopBoundMs = 15_000;
const requestBoundMs = 15_000;
const graces = { stdinGraceMs: 100, termGraceMs: 200 };

/** One request of a client. */
async function ask(url: string, request: Omit<Request, "signal">) {
  const { signal } = abortAfter(systemClock, requestBoundMs);
  const answer = await exchange(url, { ...request, signal }, {});
  const { statusCode: status = 0, headers } = answer;
  return { status, isOk: status >= 200 && status < 300, headers, said: await text(answer) };
}

/** A client's session with the server, over streamable HTTP. */
export interface Session {
  delete(): Promise<void>;
}

export class OwnGateway {
  readonly tier: TierName;
  /** The server's list of processes. */
  readonly listFile: string;
  readonly #state: string;
  readonly #config: string;
  readonly #client: GatewayClient;
  #process: Helper | undefined;
  #caller: Helper | undefined;
  readonly #directory: string;
  readonly #compileCache: string;
  #said = "";

  constructor(directory: string, tier: TierName, idleLeaseMs: number | undefined) {
    mkdirSync(directory);
    this.#directory = directory;
    this.tier = tier;
    this.listFile = join(directory, "pids");
    this.#state = join(directory, "state");
    this.#compileCache = join(dirname(directory), "compile-cache");
    this.#config = join(directory, "holdfast.json");
    this.#client = new GatewayClient({ state: this.#state });
    writeFileSync(this.listFile, "");
    const [command = "", ...args] = ownTrees.server(this.listFile);
    const session = idleLeaseMs === undefined ? {} : { idleLeaseMs };
    writeFileSync(
      this.#config,
      JSON.stringify({ port: 0, mcpServers: { server: { command, args } }, session, stop: graces }),
    );
  }

  /** The live keeper's. */
  get record(): KeeperRecord | undefined {
    const record = readKeeperRecord(statePaths(this.#state));
    return record !== undefined && platform.isSameAlive(record) ? record : undefined;
  }

  get isRunning(): boolean {
    return this.#process?.isRunning === true;
  }

  /** Throws with its last output when it does not serve in time. */
  async start(): Promise<void> {
    if (this.isRunning) return;
    // A compile cache for a dozen starts.
    const own = { HOLDFAST_TIER: this.tier, NODE_COMPILE_CACHE: this.#compileCache, TMPDIR: this.#directory };
    const env = mergeEnvironment(baseEnvironment(), own);
    const words = [main, "gateway", "--state", this.#state, "--config", this.#config];
    this.#process = platform.start([process.execPath, ...words], env);
    this.#said = "";
    this.#process.stderr?.on("data", (chunk: Buffer) => (this.#said = (this.#said + String(chunk)).slice(-2000)));
    await this.#untilServes(() => true);
  }

  /** Waits for a serving gateway that passes the test. */
  async #untilServes(isMeant: (record: KeeperRecord) => boolean): Promise<KeeperRecord> {
    const end = systemClock.monotonic() + startBoundMs;
    while (systemClock.monotonic() < end && this.isRunning) {
      const { record } = this;
      if (record !== undefined && isMeant(record) && (await this.#client.isReady())) return record;
      await untilTrue(() => !this.isRunning, 20, systemClock);
    }
    const how = this.isRunning ? `does not serve within ${startBoundMs / 1000} s` : "ended at its start";
    throw new Error(`the gateway ${how}: ${this.#said.trim().split("\n").at(-1) ?? ""}`);
  }

  /** A session with its server and all helpers running. */
  async open(): Promise<Session> {
    writeFileSync(this.listFile, "");
    const address = `${this.#client.url}/mcp/server`;
    const headers = {
      authorization: `Bearer ${tokenOf({ state: this.#state })}`,
      accept: "application/json, text/event-stream",
      "content-type": "application/json",
    };
    const params = {
      protocolVersion: "2025-06-18",
      capabilities: {},
      clientInfo: { name: "holdfast-selftest", version: "1" },
    };
    const body = JSON.stringify({ jsonrpc: "2.0", id: 1, method: "initialize", params });
    const opened = await ask(address, { method: "POST", headers, body });
    const id = opened.headers["mcp-session-id"];
    if (!opened.isOk || typeof id !== "string")
      throw new Error(`no session: HTTP ${opened.status} ${opened.said.slice(0, 200)}`);
    return {
      async delete() {
        const ended = await ask(address, { method: "DELETE", headers: { ...headers, "mcp-session-id": id } });
        if (!ended.isOk) throw new Error(`DELETE was answered with ${ended.status}`);
      },
    };
  }

  /** An operator's command. */
  async endSessions(): Promise<void> {
    for (const { id } of await this.#client.call("session.list", {})) await this.#client.call("session.end", { id });
  }

  async restartAll(): Promise<void> {
    const { epoch } = this.#signalKeeper("SIGUSR2");
    await this.#untilServes((record) => record.epoch > epoch);
  }

  async killFront(): Promise<void> {
    const { front } = this.#processes();
    platform.signal(front, "SIGKILL");
    await this.#untilServes((record) => record.front.pid !== front.pid);
  }

  /** In one instant: all are stopped first, so that none reacts to another's death. */
  async kill(who: "keeper" | "keeper and front" | "all"): Promise<void> {
    const { keeper, front, guardian } = this.#processes();
    const others = who === "all" ? [front, guardian, ...this.#guards()] : who === "keeper" ? [] : [front];
    for (const signal of ["SIGSTOP", "SIGKILL"] as const)
      for (const target of [keeper, ...others]) platform.signal(target, signal);
    if (who === "all") this.#process?.signal("kill"); // where the keeper is not what was started
    await this.#ended();
    const rest = [front, guardian];
    const isGone = () => rest.every((one) => platform.processes.read(one.pid)?.startTime !== one.startTime);
    if (!(await untilTrue(isGone, stopBoundMs, systemClock)))
      throw new Error("the front or the guardian outlived the keeper");
  }

  /** SIGTERM, then waits; kills what does not end. Nothing if none runs. */
  async stop(): Promise<void> {
    this.#caller?.signal("kill");
    if (!this.isRunning) return;
    const { record } = this;
    if (record === undefined || !platform.signal(record, "SIGTERM")) this.#process?.signal("terminate");
    try {
      await this.#ended();
    } catch (cause) {
      this.#process?.signal("kill");
      await this.#ended();
      throw cause;
    }
  }

  /** As when the terminal is closed in which a person started it. */
  async closeTerminal(): Promise<void> {
    const { record } = this;
    if (record === undefined) throw new Error("the gateway is gone");
    this.#process?.signal("kill");
    if (!(await untilTrue(() => !platform.isSameAlive(record), stopBoundMs, systemClock))) {
      platform.signal(record, "SIGKILL");
      throw new Error(`the gateway did not end within ${stopBoundMs / 1000} s`);
    }
  }

  /** A program that uses `holdfast run`, with the server and all its helpers running; returns how to kill one of the two. */
  async startCaller(who: "caller" | "run"): Promise<() => void> {
    writeFileSync(this.listFile, "");
    const words = ownTrees.caller([process.execPath, main, "run", "--", ...ownTrees.server(this.listFile)]);
    const caller = platform.start(words, baseEnvironment());
    this.#caller = caller;
    caller.stderr?.resume();
    const isWhole = () => readListed(this.listFile).length >= serverProcesses;
    if (await untilTrue(isWhole, startBoundMs, systemClock)) {
      if (who === "caller") return () => caller.signal("kill");
      // Not its first child, which can be the host of its console.
      const [run] = platform.processes.descendants(caller.pid);
      if (run !== undefined) return () => void platform.signal(run, "SIGKILL");
    }
    throw new Error(`not all processes were there within ${startBoundMs / 1000} s`);
  }

  async #ended(): Promise<void> {
    if (!(await untilTrue(() => !this.isRunning, stopBoundMs, systemClock)))
      throw new Error(`the gateway did not end within ${stopBoundMs / 1000} s`);
  }

  #signalKeeper(signal: NodeJS.Signals): KeeperRecord {
    const { record } = this;
    if (record === undefined) throw new Error("the gateway is gone");
    platform.signal(record, signal);
    return record;
  }

  #processes(): Record<"keeper" | "front" | "guardian", ProcessInfo> {
    const { record } = this;
    const [keeper, front, guardian] = [record?.pid, record?.front.pid, record?.guardian.pid].map((pid) =>
      pid === undefined ? undefined : platform.processes.read(pid),
    );
    if (keeper === undefined || front === undefined || guardian === undefined)
      throw new Error("keeper, front or guardian is gone");
    return { keeper, front, guardian };
  }

  /** The shells around this gateway's runs, on the tier that has them. */
  #guards(): ProcessInfo[] {
    const keeper = this.record?.pid;
    const { pids, environment: environmentOf, read } = platform.processes;
    return pids()
      .filter((pid) => {
        const environment = environmentOf(pid);
        return environment?.includes(`${guardVariable}=`) === true && isBelow(pid, keeper);
      })
      .map(read)
      .filter((info) => info !== undefined);
  }
}

function isBelow(pid: number, ancestor: number | undefined): boolean {
  const { read } = platform.processes;
  let parent = read(pid)?.ppid;
  while (parent !== undefined && parent > 1 && parent !== ancestor) parent = read(parent)?.ppid;
  return parent === ancestor;
}
