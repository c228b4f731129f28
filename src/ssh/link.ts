/**
 * One connection to one remote host: an OpenSSH control master whose own session is the remote guardian, shared by runs.
 * Any loss is one event, after which the remote guardian ends all processes of this connection by itself.
 */
import type { Readable, Writable } from "node:stream";
import { inTime, type Clock, type Timer } from "../clock.ts";
import type { Spawned, Container } from "../platform/types.ts";
import { HoldfastError } from "../errors.ts";
import { BoundedLines, readPaced } from "./bounded-input.ts";
import { type Destination, plain, withoutJumps } from "./destination.ts";
import { readMessage, type RemoteTier, type Greeting } from "./remote/guardian-messages.ts";
import { explain } from "./ssh-errors.ts";
import { bootstrap, type GuardianVariables, type RemoteScripts } from "./remote/script.ts";

export interface LinkTimes {
  /** From the start of ssh to the remote guardian's first message. */
  connectTimeoutMs: number;
  heartbeatMs: number;
  /** Without an answer for this long, both sides consider the connection lost. */
  heartbeatTimeoutMs: number;
}

export interface LinkParts {
  clock: Clock;
  destination: Destination;
  container: Container;
  env: Record<string, string>;
  /** Path of the control socket. */
  socket: string;
  scripts: RemoteScripts;
  guardian: Omit<GuardianVariables, "patienceMs">;
  times: LinkTimes;
  /** Aborted when the connection is no longer needed before it is ready. */
  given: AbortSignal;
  onLost: (link: SshConnection, why: string) => void;
  /** Its container is empty. */
  onGone: () => void;
}

const stderrBytesMax = 8192;
/** Most bytes that a login may print before its guardian is ready: messages of the day and profile output. */
const handshakeBytesMax = 256 * 1024;
/** The longest message: pids of a run that cannot be ended. Only its beginning is needed. */
const lineBytesMax = 256 * 1024;
const keptBytesMax = 8192;
/** Most bytes that a ready guardian may print unasked. */
const unaskedBytesMax = 64 * 1024;
/** Most bytes queued for a remote host that does not read. */
const unreadBytesMax = 256 * 1024;
const endBoundMs = 10_000;
const closeBoundMs = 2000;
/** Time for ssh's last output after its exit. */
const lastOutputMs = 300;

export class SshConnection {
  readonly destination: Destination;
  readonly mark: string;
  tier: RemoteTier = "marker";
  /** Processes of earlier keepers that the remote guardian ended at its start. */
  swept = 0;
  /** Runs now using it. */
  runs = 0;
  readonly #parts: LinkParts;
  #process: Spawned | undefined;
  #base = "";
  #reaper = "";
  #stderr = "";
  /** Output before the guardian's message: a login banner, or the output of a forced command. */
  #noise = "";
  #stands = false;
  #handshakeBytes = 0;
  #unaskedBytes = 0;
  /** Unanswered requests to end a run. */
  #endsOwed = 0;
  #lost: string | undefined;
  #heartbeat = 0;
  #answered = 0;
  #lastTick = 0;
  #silentMs = 0;
  /** By the wall clock, when the oldest heartbeat was sent that may be unanswered. */
  #askedAt = 0;
  #timer: Timer | undefined;
  #ready = Promise.withResolvers<void>();
  readonly #ends = new Map<string, { resolve: (left: string) => void; promise: Promise<string> }>();

  private constructor(parts: LinkParts) {
    this.#parts = parts;
    this.destination = parts.destination;
    this.mark = parts.guardian.link;
    this.#ready.promise.catch(() => {}); // open() awaits it; a loss before that must not be an unhandled rejection
  }

  /** Resolves when the remote guardian is ready and has removed earlier leftovers. Throws `host_unreachable`. */
  static async open(parts: LinkParts): Promise<SshConnection> {
    const link = new SshConnection(parts);
    try {
      await link.#start();
      return link;
    } catch (thrown) {
      await link.#endContainer();
      throw thrown;
    }
  }

  get lost(): boolean {
    return this.#lost !== undefined;
  }

  /** Why it was lost, as one sentence. */
  get why(): string | undefined {
    return this.#lost;
  }

  /** When the oldest overdue heartbeat was sent, one moment for as long as it is silent; null while it answers. */
  get silentSince(): number | null {
    return this.#timer === undefined || this.#silentMs < this.#parts.times.heartbeatMs ? null : this.#askedAt;
  }

  /** How long a run's guard may take to get ready. */
  get patienceMs(): number {
    return this.#parts.times.connectTimeoutMs;
  }

  /** What a run's script needs to know about the remote host. */
  get remote(): { base: string; reaper: string } {
    return { base: this.#base, reaper: this.#reaper };
  }

  /** ssh arguments that run `command` over this connection and no other. */
  words(command: string): string[] {
    const options = ["ControlMaster=no", "ProxyCommand=false", ...plain].flatMap((option) => ["-o", option]);
    return ["-S", this.#parts.socket, ...options, "-T", ...withoutJumps(this.destination.words), command];
  }

  signal(run: string, signal: NodeJS.Signals): void {
    this.#say(`signal ${run} ${signal.replace(/^SIG/, "")}`);
  }

  /** Ends a remote run. Resolves with "" when it is proven empty, with remaining pids, or with undefined when unknown. */
  async end(run: string, boundMs: number): Promise<string | undefined> {
    if (this.lost) return undefined;
    const waiting = this.#ends.get(run) ?? Promise.withResolvers<string>();
    if (!this.#ends.has(run)) {
      this.#ends.set(run, waiting);
      this.#endsOwed += 1;
      this.#say(`end ${run}`);
    }
    const left = await inTime(this.#parts.clock, waiting.promise, boundMs, undefined);
    this.#ends.delete(run);
    return this.lost ? undefined : left;
  }

  /** Orderly end of a connection without runs. */
  async close(): Promise<void> {
    this.#stopTimer();
    this.#say("bye");
    this.#lost ??= "closed";
    const exit: Promise<unknown> = this.#process?.exit ?? Promise.resolve();
    await inTime(this.#parts.clock, exit, closeBoundMs, undefined);
    await this.#endContainer();
  }

  async #start(): Promise<void> {
    const { clock, container, env, destination, socket, scripts, guardian, times, given } = this.#parts;
    const script = scripts.guardian({ ...guardian, patienceMs: times.heartbeatTimeoutMs });
    const seconds = Math.max(1, Math.ceil(times.connectTimeoutMs / 1000));
    const options = ["ControlMaster=yes", `ConnectTimeout=${seconds}`, ...plain].flatMap((option) => ["-o", option]);
    const args = ["-S", socket, ...options, "-T", ...destination.words, bootstrap(script)];
    const process = await container.spawn({ command: "ssh", args, env });
    this.#process = process;
    const { stdin, stdout, stderr } = process as { stdin: Writable; stdout: Readable; stderr: Readable };
    stdin.on("error", () => {}); // ssh is gone; its exit is handled
    this.#listen(stdout, stderr);
    const silent = new Promise<void>((resolve) => void stderr.once("close", resolve));
    void process.exit.then(async ({ code, signal }) => {
      await inTime(clock, silent, lastOutputMs, undefined);
      this.#lose(`ssh ended with ${signal ?? `code ${code}`}`);
    }); // never rejects
    stdin.write(script);
    const late = clock.after(times.connectTimeoutMs, () => this.#lose(`no answer within ${times.connectTimeoutMs} ms`));
    const giveUp = () => this.#lose("the gateway is stopping");
    given.addEventListener("abort", giveUp);
    if (given.aborted) giveUp();
    await this.#ready.promise.finally(() => {
      late.clear();
      given.removeEventListener("abort", giveUp);
    });
    if (this.#lost !== undefined) throw new HoldfastError("host_unreachable", this.#lost);
    this.#lastTick = clock.monotonic();
    this.#timer = clock.every(times.heartbeatMs, () => this.#tick());
  }

  /** Bounds all remote output in bytes; unsolicited output ends the connection. */
  #listen(stdout: Readable, stderr: Readable): void {
    readPaced(stderr, this.#parts.clock, (chunk) => {
      this.#stderr = (this.#stderr + chunk.toString("utf8", Math.max(0, chunk.length - stderrBytesMax))).slice(
        -stderrBytesMax,
      );
    });
    const lines = new BoundedLines({
      keptBytesMax,
      lineBytesMax,
      onLine: (line) => {
        this.#hear(line);
        return !this.lost;
      },
      onExcess: () => this.#lose(`it said more than ${lineBytesMax} bytes without an end of line`),
    });
    stdout.on("data", (chunk: Buffer) => {
      if (this.lost) return;
      if (!this.#stands) this.#handshakeBytes += chunk.length;
      lines.push(chunk);
      if (!this.#stands && this.#handshakeBytes > handshakeBytesMax)
        this.#lose(`it said more than ${handshakeBytesMax} bytes before its guard stood`);
    });
  }

  #hear(line: string): void {
    const message = readMessage(line, this.#parts.guardian.only);
    if (!this.#stands) {
      if (message?.type === "ready") return this.#greet(message);
      if (message?.type === "unusable") return this.#lose(message.why);
      this.#noise = `${this.#noise}${line}\n`.slice(0, 300);
      return;
    }
    // A heartbeat is answered once, after it was sent.
    if (message?.type === "heartbeat" && message.number > this.#answered && message.number <= this.#heartbeat) {
      this.#answered = message.number;
    } else if (message?.type === "ended" && this.#endsOwed > 0) {
      this.#endsOwed -= 1;
      this.#ends.get(message.run)?.resolve(message.left);
    } else {
      this.#unaskedBytes += line.length + 1;
      if (this.#unaskedBytes > unaskedBytesMax)
        this.#lose(`its guard says what it was not asked: ${JSON.stringify(line.slice(0, 100))}`);
    }
  }

  #greet({ tier, reaper, swept, base }: Greeting): void {
    this.#stands = true;
    this.tier = tier;
    this.swept = swept;
    this.#reaper = reaper;
    this.#base = base;
    // Output during the connection does not explain later failures.
    this.#stderr = "";
    this.#ready.resolve();
  }

  /** Measured against our own ticks, so that a suspended keeper does not declare its remote host dead. */
  #tick(): void {
    const { clock, times } = this.#parts;
    const { heartbeatMs, heartbeatTimeoutMs } = times;
    const now = clock.monotonic();
    const pausedMs = now - this.#lastTick;
    this.#lastTick = now;
    const isAnswered = this.#answered === this.#heartbeat;
    if (isAnswered) this.#askedAt = clock.now();
    this.#silentMs = isAnswered ? 0 : this.#silentMs + Math.min(pausedMs, 2 * heartbeatMs);
    if (this.#silentMs > heartbeatTimeoutMs) return this.#lose(`no heartbeat for ${heartbeatTimeoutMs} ms`);
    this.#heartbeat += 1;
    this.#say(`beat ${this.#heartbeat}`);
  }

  #say(line: string): void {
    const stdin = this.#process?.stdin;
    if (stdin === undefined || stdin === null) return;
    if (stdin.writableLength > unreadBytesMax) return this.#lose(`it leaves ${unreadBytesMax} bytes unread`);
    stdin.write(`${line}\n`);
  }

  #lose(outcome: string): void {
    if (this.#lost !== undefined) return;
    const why = explain(this.destination, this.#stderr, this.#outcome(outcome));
    this.#lost = why;
    // Further output is irrelevant.
    this.#process?.stdout?.destroy();
    this.#process?.stderr?.destroy();
    this.#stopTimer();
    this.#ready.reject(new HoldfastError("host_unreachable", why));
    for (const { resolve } of this.#ends.values()) resolve("");
    // ssh may hang on a dead connection; killing it ends the sessions of all runs here.
    void this.#endContainer().then(() => this.#parts.onLost(this, why)); // never rejects
  }

  async #endContainer(): Promise<void> {
    await this.#parts.container.end(endBoundMs);
    this.#parts.onGone();
  }

  #outcome(outcome: string): string {
    if (this.#stands || this.#noise === "") return outcome;
    const said = JSON.stringify(this.#noise.trim());
    return `${outcome}; it did not run the guard but said ${said}: a forced command, or a login shell that is none?`;
  }

  #stopTimer(): void {
    this.#timer?.clear();
  }
}
