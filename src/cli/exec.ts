/** `holdfast exec -- COMMAND…`: runs a command under the gateway: its tree cannot outlive it unnoticed, its output is kept. */
import type { RunView } from "../protocol/run.ts";
import type { OutputStream } from "../protocol/background.ts";
import { GatewayClient } from "../client/rpc.ts";
import { areReadable, exitCodeOfSignal } from "../platform/self/index.ts";
import { HoldfastError } from "../errors.ts";
import type { ParamsOf } from "../protocol/api/index.ts";
import { attachTo } from "./attach.ts";
import type { CommandContext } from "./context.ts";
import { describeEnd } from "./describe-run.ts";
import { feed } from "./feed.ts";
import { follow, print, printError } from "./follow.ts";
import { LiveLine } from "./live-line.ts";
import { openCallerSessionIfPossible } from "./caller-session.ts";
import { printJson } from "./print.ts";

export interface ExecOptions {
  background: boolean;
  pty: boolean;
  scope?: string;
  replace: boolean;
  timeout?: number;
  /** `--no-output-timeout`: commander strips the `no-`. */
  outputTimeout?: number | true;
  maxLifetime?: number;
  onFrontLoss: "keep" | "kill";
  keep?: number;
  descendants: "reap" | "keep-until-scope-ends";
  host: string;
  cwd?: string;
  env: string[];
  session?: string;
  limitPids?: number;
  limitMemory?: number;
  /** `end`: ^C ends the run even if its command ignores it. By default that takes a second ^C. */
  interrupt?: "end";
  /** Print only the result, at the end, as one object. */
  collect?: boolean;
  /** The session that represents this process; opened if absent. */
  caller?: string;
}

export async function exec(context: CommandContext, argv: string[], options: ExecOptions): Promise<number> {
  refuseUnreadable([...argv, ...options.env, options.cwd ?? "", options.scope ?? ""]);
  const client = new GatewayClient(context);
  const collected = options.collect === true ? new Collected() : undefined;
  const isTerminal = options.pty && process.stdin.isTTY && process.stdout.isTTY && collected === undefined;
  // An attached terminal may leave its run behind; a command that is waited for must end with its caller.
  const waits = !options.background && (!isTerminal || options.caller !== undefined);
  await using own =
    waits && options.caller === undefined ? await openCallerSessionIfPossible(context, "holdfast exec") : undefined;
  const caller = waits ? (options.caller ?? own?.id) : undefined;
  const run = await client.call("run.start", {
    ...startParams(argv, options),
    ...(caller === undefined ? {} : { caller }),
  });
  if (options.background) {
    if (context.json) printJson(run);
    else tellStarted(run.id);
    return 0;
  }
  const ended = isTerminal
    ? await attachTo(client, run, { detachKey: undefined, caller })
    : await stay(client, run, { ...options, caller }, collected);
  if (ended === "unread") return exitCodeOfSignal("SIGPIPE") ?? 1;
  if (collected !== undefined) printJson({ run: ended, ...collected.result });
  if (ended.state !== "exited") return 0; // detached
  if (!["exited", "signaled"].includes(ended.endReason ?? "exited"))
    process.stderr.write(`holdfast: run ${ended.id} ${describeEnd(ended)}\n`);
  return exitCodeOf(ended);
}

/** Requests are JSON, which has text only: other bytes would reach the command as U+FFFD. */
export function refuseUnreadable(words: string[]): void {
  if (areReadable(words)) return;
  const message = "the command holds bytes that are not UTF-8 text, which a gateway cannot be told";
  throw new HoldfastError("usage", `${message}; put it into a file or a script`);
}

/** A script gets only the id on stdout. */
function tellStarted(id: string): void {
  const words = "started in the background, holdfast process poll shows how it goes:";
  if (process.stdout.isTTY) process.stdout.write(`${words} ${id}\n`);
  else {
    process.stderr.write(`${words} ${id}\n`);
    process.stdout.write(`${id}\n`);
  }
}

/** The shell convention: 128 + n for signal n. */
function exitCodeOf(run: RunView): number {
  if (run.exitCode !== null) return run.exitCode;
  return exitCodeOfSignal(run.signal ?? "") ?? 1;
}

function startParams(argv: string[], options: ExecOptions): ParamsOf<"run.start"> {
  const env = Object.fromEntries(options.env.map(splitVariable));
  // A terminal of unknown size reports 0.
  const { columns = 0, rows = 0 } = process.stdout.isTTY ? process.stdout : {};
  const { scope, timeout, outputTimeout, maxLifetime, keep, session, limitPids, limitMemory } = options;
  const limits = {
    ...(limitPids === undefined ? {} : { processesMax: limitPids }),
    ...(limitMemory === undefined ? {} : { memoryBytesMax: limitMemory }),
  };
  return {
    kind: options.pty ? "pty" : "exec",
    argv,
    host: options.host,
    ...(options.cwd === undefined && options.host !== "local" ? {} : { cwd: options.cwd ?? process.cwd() }),
    env,
    background: options.background,
    // A waiting caller has two separate streams.
    streams: options.background || options.pty ? "merged" : "apart",
    replaceExistingScope: options.replace,
    onFrontLoss: options.onFrontLoss,
    descendants: options.descendants,
    columns: columns || 80,
    rows: rows || 24,
    limits,
    ...(scope === undefined ? {} : { scopeKey: scope }),
    ...(timeout === undefined ? {} : { timeoutMs: timeout }),
    ...(typeof outputTimeout === "number" ? { noOutputTimeoutMs: outputTimeout } : {}),
    ...(maxLifetime === undefined ? {} : { maxLifetimeMs: maxLifetime }),
    ...(keep === undefined ? {} : { keepMs: keep }),
    ...(session === undefined ? {} : { sessionId: session }),
  };
}

function splitVariable(text: string): [string, string] {
  const at = text.indexOf("=");
  if (at < 1) throw new HoldfastError("usage", `exec: --env wants NAME=VALUE, not ${JSON.stringify(text)}`);
  return [text.slice(0, at), text.slice(at + 1)];
}

/** Resolves once our output has lost its reader. The listeners stay, since later writes fail as well. */
function untilUnread(): Promise<"unread"> {
  return new Promise((resolve) => {
    for (const stream of [process.stdout, process.stderr]) stream.on("error", () => resolve("unread"));
  });
}

/** Relays input, output and the first signals, and waits until the tree is gone. */
async function stay(
  client: GatewayClient,
  run: RunView,
  { pty: isPty, interrupt, caller }: Pick<ExecOptions, "pty" | "interrupt"> & { caller: string | undefined },
  collected: Collected | undefined,
): Promise<RunView | "unread"> {
  const line = new LiveLine(run);
  const leaving = new AbortController();
  const unread = untilUnread();
  let asked = 0;
  const pass = (signal: NodeJS.Signals) => {
    asked += 1;
    const isPassed = signal === "SIGINT" && asked === 1;
    const calls: Promise<unknown>[] = [];
    if (isPassed) calls.push(client.call("run.signal", { id: run.id, signal }));
    if (!isPassed || interrupt === "end") calls.push(client.call("run.kill", { id: run.id, now: asked > 2 }));
    for (const call of calls) call.catch(() => {}); // it has ended, as the end of its output reports
  };
  const signals = ["SIGINT", "SIGTERM", "SIGHUP"] as const;
  for (const signal of signals) process.on(signal, pass);
  let skipped = 0;
  const feeding = feed(client, run.id, isPty, { isAlone: true });
  try {
    const follows = (["stdout", "stderr"] as const).slice(0, isPty ? 1 : 2).map((stream) =>
      follow(client, run.id, {
        stream,
        offset: 0,
        follow: true,
        viewer: true,
        pace: true,
        caller,
        signal: leaving.signal,
        onBytes: (bytes) => {
          line.printed(bytes, stream);
          if (collected !== undefined) return collected.add(bytes, stream);
          return stream === "stdout" ? print(bytes) : printError(bytes);
        },
        onSkipped: (bytes) => {
          skipped += bytes;
        },
        onRun: (view, printed) => {
          line.update(view);
          collected?.counted(printed, stream);
        },
      }),
    );
    const reading = Promise.all(follows);
    reading.catch(() => {}); // the race handles it, unless the reader was lost first
    const first = await Promise.race([unread, reading]);
    if (first !== "unread") return first[0] ?? run;
    leaving.abort();
    // Like a broken pipe: the command has lost its reader.
    await client.call("run.kill", { id: run.id, now: false });
    return first;
  } finally {
    feeding.close();
    line.clear();
    if (skipped > 0)
      process.stderr.write(
        `holdfast: ${skipped} bytes are missing: they were not read in time, or the disk there is full\n`,
      );
    for (const signal of signals) process.off(signal, pass);
  }
}

/** Per stream, from its end. */
const collectedBytesMax = 1024 * 1024;

/** Collects a command's output for one result object at its end. */
class Collected {
  readonly #streams = { stdout: { kept: Buffer.alloc(0), printed: 0 }, stderr: { kept: Buffer.alloc(0), printed: 0 } };

  add(bytes: Buffer, to: OutputStream): void {
    const stream = this.#streams[to];
    const all = Buffer.concat([stream.kept, bytes]);
    stream.kept = all.subarray(Math.max(0, all.length - collectedBytesMax));
  }

  /** Total printed, including output that was not read in time. */
  counted(printed: number, on: OutputStream): void {
    this.#streams[on].printed = printed;
  }

  /** In the form of `node.invoke`. */
  get result(): { stdout: string; stderr: string; stdoutBytes: number; stderrBytes: number } {
    const { stdout, stderr } = this.#streams;
    return {
      stdout: stdout.kept.toString("utf8"),
      stderr: stderr.kept.toString("utf8"),
      stdoutBytes: stdout.printed,
      stderrBytes: stderr.printed,
    };
  }
}
