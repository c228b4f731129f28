/**
 * A keeper of a few lines, for what a real one would never do: it forks the front as the real one does, starts servers as
 * plain children, and can be told to refuse, to end runs in odd ways, or to say nothing.
 */
import { fork, spawn, type ChildProcess } from "node:child_process";
import { createHash } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import type { Socket } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import type { RunView } from "../../../src/protocol/run.ts";
import type { FrontConfig, TokenGrant } from "../../../src/protocol/keeper/front-config.ts";
import { mainFile } from "../../helpers/program.ts";
import { configSchema } from "../../../src/config/schema.ts";
import { CreditMeter, lineCostBytes, SendWindow } from "../../../src/protocol/keeper/flow.ts";
import { FrameReader, flags, writeLine, type Frame } from "../../../src/protocol/keeper/frames.ts";
import type { FrontMessage, KeeperMessage } from "../../../src/protocol/keeper/messages.ts";
import type { KeeperStatus } from "../../../src/protocol/keeper/status.ts";

export const token = "fake-keeper-token-0123456789";

export interface FakeServer {
  command: string;
  args: string[];
}

export interface FakeOptions {
  servers?: Record<string, FakeServer>;
  config?: Partial<FrontConfig>;
  /** Settings of one server, by name. */
  settings?: Record<string, Partial<FrontConfig["servers"][number]>>;
  /** Tells the end of a run at once, before its last lines were sent: the two words travel on different descriptors. */
  exitFirst?: boolean;
  /** Tokens besides the one that everybody uses. */
  tokens?: TokenGrant[];
  /** Answers a question of the front in place of the keeper; undefined = as usual. */
  answer?: (message: FrontMessage) => KeeperMessage | "silence" | undefined;
}

interface FakeRun {
  channel: number;
  child: ChildProcess;
  view: RunView;
  exited: Promise<void>;
}

const permissions = ["--permission", "--allow-fs-read=*"];
if (process.allowedNodeEnvironmentFlags.has("--allow-net")) permissions.push("--allow-net");
const entry = join(dirname(mainFile), "gateway/main.js");

function viewOf(channel: number, server: string, sessionId: string, child: ChildProcess): RunView {
  return {
    id: `fake-${channel}`,
    kind: "mcp",
    server,
    sessionId,
    scopeKey: null,
    host: "local",
    state: "running",
    pid: child.pid ?? 0,
    startedAt: Date.now(),
    endedAt: null,
    leaderEndedAt: null,
    command: server,
    cwd: null,
    background: null,
    endReason: null,
    exitCode: null,
    signal: null,
    survivors: [],
    processes: [],
    silentSince: null,
  };
}

export class FakeKeeper implements AsyncDisposable {
  urls: string[] = [];
  /** Everything the front said over IPC. */
  readonly heard: FrontMessage[] = [];
  readonly runs = new Map<string, FakeRun>();
  readonly front: ChildProcess;
  readonly stderr: Promise<string>;
  readonly #directory = mkdtempSync(join(tmpdir(), "holdfast-front-"));
  readonly #options: FakeOptions;
  readonly #window = new SendWindow();
  readonly #meter: CreditMeter;
  readonly #pipe: Socket;
  readonly #listening = Promise.withResolvers<void>();
  #nextChannel = 1;

  constructor(options: FakeOptions = {}) {
    this.#options = options;
    const execArgv = [...permissions, "--disable-warning=ExperimentalWarning", "--disable-warning=SecurityWarning"];
    this.front = fork(entry, [], {
      execArgv,
      serialization: "json",
      stdio: ["ignore", "ignore", "pipe", "ipc", "pipe"],
    });
    this.stderr = text(this.front.stderr!);
    this.#pipe = this.front.stdio[4] as Socket;
    this.#pipe.on("error", () => {}); // the front is gone; its exit tells
    this.#meter = new CreditMeter((channel, bytes) => this.tell({ type: "credit", channel, bytes }));
    const reader = new FrameReader((frame) => this.#toServer(frame));
    this.#pipe.on("data", (chunk: Buffer) => reader.push(chunk));
    this.front.on("message", (message) => void this.#hear(message as FrontMessage));
    this.front.once("exit", () => this.#listening.reject(new Error("the front ended before it listened")));
    this.#listening.promise.catch(() => {}); // those who wait for it hear it from start()
    this.#greet();
  }

  static async start(options: FakeOptions = {}): Promise<FakeKeeper> {
    const keeper = new FakeKeeper(options);
    try {
      await keeper.#listening.promise;
      return keeper;
    } catch (error) {
      await keeper[Symbol.asyncDispose]();
      throw error;
    }
  }

  get url(): string {
    return this.urls[0] ?? "";
  }

  tell(message: KeeperMessage): void {
    if (this.front.connected) this.front.send(message, () => {});
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const exited =
      this.front.exitCode === null && this.front.signalCode === null ? once(this.front, "exit") : undefined;
    if (this.front.connected) this.front.disconnect();
    else this.front.kill("SIGKILL");
    await exited;
    for (const run of this.runs.values()) run.child.kill("SIGKILL");
    await Promise.all([...this.runs.values()].map((run) => run.exited));
    await this.stderr;
    this.#pipe.destroy();
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #greet(): void {
    const digest = createHash("sha256").update(token).digest("hex");
    const first = { id: "first", name: "first", digest, scopes: ["admin" as const], expiresAt: null };
    const servers = Object.keys(this.#options.servers ?? {}).map((name) => ({
      name,
      kind: "stdio" as const,
      enabled: true,
      requestTimeoutMs: 0,
      connectionTimeoutMs: 20_000,
      share: "session" as const,
      idleTimeoutMs: 0,
      maxLifetimeMs: 0,
      fingerprint: name,
      ...this.#options.settings?.[name],
    }));
    const config: FrontConfig = {
      port: 0,
      bind: ["127.0.0.1"],
      tls: null,
      servers,
      connections: configSchema.parse({}).connections,
      session: { idleLeaseMs: 600_000, sessionsMax: 100 },
      allowedOrigins: [],
      allowedHosts: [],
      messageBytesMax: 16 * 1024 * 1024,
      startsMax: 4,
      // Longer than any start takes on a busy machine.
      listMs: 20_000,
      nodes: { leaseMs: 30_000, beatMs: 2000, pendingMs: 600_000 },
      questionMs: 600_000,
      tools: { exec: false, sessions: false, status: false, nodes: false },
      ...this.#options.config,
    };
    this.tell({
      type: "hello",
      version: "0.0.0",
      epoch: 1,
      frontEpoch: 3,
      tokens: [first, ...(this.#options.tokens ?? [])],
      frontDir: this.#directory,
      config,
      node: null,
      runs: [],
    });
  }

  async #hear(message: FrontMessage): Promise<void> {
    this.heard.push(message);
    const instead = this.#options.answer?.(message);
    if (instead !== undefined) {
      if (instead !== "silence") this.tell(instead);
      return;
    }
    switch (message.type) {
      case "listening":
        this.urls = message.urls;
        return this.#listening.resolve();
      case "failed":
        return this.#listening.reject(new Error(message.message));
      case "credit":
        return this.#window.credited(message.channel, message.bytes);
      case "heartbeat":
      case "progress":
      case "finished":
        return;
      default:
        this.tell({ type: "reply", request: message.request, result: await this.#answer(message) });
    }
  }

  async #answer(message: Extract<FrontMessage, { request: number }>): Promise<unknown> {
    if (message.type === "run.start") return this.#start(message.params.server, message.params.sessionId);
    if (message.type === "run.stop") {
      const run = this.runs.get(message.params.run)!;
      run.view.endReason ??= message.params.reason;
      run.child.kill("SIGKILL");
      await run.exited;
      return run.view;
    }
    if (message.type === "run.list") return [...this.runs.values()].map((run) => run.view);
    if (message.type === "run.launches") return {};
    if (message.type === "gateway.status") return status;
    if (message.type === "gateway.figures") return { runs: [], ends: [], lagMs: 0, descriptors: 1 };
    return null;
  }

  #start(server: string, sessionId: string): { channel: number; run: RunView } {
    const { command, args } = this.#options.servers![server]!;
    const child = spawn(command, args, { stdio: ["pipe", "pipe", "ignore"] });
    const channel = this.#nextChannel++;
    const view = viewOf(channel, server, sessionId, child);
    child.stdin.on("error", () => {}); // it died; its exit tells
    this.#fromServer(channel, child);
    const exited = once(child, this.#options.exitFirst === true ? "exit" : "close").then(
      ([code, signal]: unknown[]) => {
        Object.assign(view, { state: "exited", exitCode: code, signal, endedAt: Date.now() });
        view.endReason ??= signal === null ? "exited" : "signaled";
        this.tell({ type: "run.state", run: view, channel });
      },
    );
    this.runs.set(view.id, { channel, child, view, exited });
    return { channel, run: { ...view } };
  }

  #fromServer(channel: number, child: ChildProcess): void {
    let rest: Buffer[] = [];
    child.stdout!.on("data", (chunk: Buffer) => {
      rest.push(chunk);
      if (!chunk.includes(10)) return;
      let whole: Buffer = Buffer.concat(rest);
      this.#pipe.cork();
      for (let end = whole.indexOf(10); end !== -1; end = whole.indexOf(10)) {
        const line = whole.subarray(0, end);
        this.#window.sent(channel, line.length + lineCostBytes);
        writeLine(this.#pipe, channel, line);
        whole = whole.subarray(end + 1);
      }
      rest = [whole];
      this.#pipe.uncork();
      if (this.#window.hasRoom(channel)) return;
      child.stdout!.pause();
      this.#window.whenRoom(channel, () => child.stdout!.resume());
    });
    child.stdout!.once("end", () => writeLine(this.#pipe, channel, Buffer.alloc(0), flags.end));
  }

  #toServer(frame: Frame): void {
    const run = this.runs.get(`fake-${frame.channel}`);
    // Words about requests: this keeper never hands a run over.
    if ((frame.flags & flags.opens) !== 0 && (frame.flags & flags.fromServer) !== 0) return;
    const credit = () => this.#meter.consumed(frame.channel, frame.bytes.length);
    if (run === undefined || frame.bytes.length === 0 || !run.child.stdin!.writable) return credit();
    run.child.stdin!.write(frame.bytes, credit);
    if ((frame.flags & flags.more) === 0) run.child.stdin!.write("\n");
  }
}

const status: KeeperStatus = {
  version: "0.0.0",
  tier: "fake",
  epoch: 1,
  keeper: { pid: process.pid, rssBytes: 1 },
  front: { pid: 1, rssBytes: 1, restarts: 0, state: "serving", problem: null },
  guardian: { pid: 1, rssBytes: 1, restarts: 0, state: "serving", problem: null },
  runs: 0,
  hosts: [],
  orphansSwept: 0,
  reconciled: [],
  crashes: [],
  startedAt: 1,
};
