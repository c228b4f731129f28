/** `holdfast exec -- COMMAND…`: a command that the gateway holds: its tree cannot outlive it unnoticed, its output is kept. */
import { GatewayClient } from "../client/rpc.ts";
import { areReadable, exitCodeOfSignal } from "../platform/self/index.ts";
import { HoldfastError } from "../errors.ts";
import type { ParamsOf } from "../protocol/api/index.ts";
import type { OutputStream } from "../protocol/keeper/background.ts";
import type { RunView } from "../protocol/keeper/messages.ts";
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
  /** `--no-output-timeout`: commander takes the `no-` off. */
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
  /** `end`: ^C ends the run even if its command does not heed it. By default that takes a second one. */
  interrupt?: "end";
  /** Print nothing but the result, at the end, as one object. */
  collect?: boolean;
  /** The session that stands for this process; without it one is opened. */
  caller?: string;
}

export async function exec(context: CommandContext, argv: string[], options: ExecOptions): Promise<number> {
  refuseUnreadable([...argv, ...options.env, options.cwd ?? "", options.scope ?? ""]);
  const client = new GatewayClient(context);
  const collected = options.collect === true ? new Collected() : undefined;
  const isTerminal = options.pty && process.stdin.isTTY && process.stdout.isTTY && collected === undefined;
  // Who attaches may leave, and its run goes on; who waits for a command must not be outlived by it.
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

/** A gateway is told in JSON, which has text only: other bytes would reach the command as U+FFFD. */
export function refuseUnreadable(words: string[]): void {
  if (areReadable(words)) return;
  const remedy = "put it into a file or a script; `holdfast run` passes all bytes on";
  throw new HoldfastError(
    "usage",
    `the command holds bytes that are not UTF-8 text, which a gateway cannot be told; ${remedy}`,
  );
}

/** A script gets the id on stdout and nothing else. */
function tellStarted(id: string): void {
  const words = "started in the background, holdfast process poll shows how it goes:";
  if (process.stdout.isTTY) process.stdout.write(`${words} ${id}\n`);
  else {
    process.stderr.write(`${words} ${id}\n`);
    process.stdout.write(`${id}\n`);
  }
}

/** As a shell says it: 128 + n for signal n. */
function exitCodeOf(run: RunView): number {
  if (run.exitCode !== null) return run.exitCode;
  return exitCodeOfSignal(run.signal ?? "") ?? 1;
}

function startParams(argv: string[], options: ExecOptions): ParamsOf<"run.start"> {
  const env = Object.fromEntries(options.env.map(splitVariable));
  // A terminal without a size reports 0.
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
    // A caller that waits has two streams of its own.
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

/** Passes input, output and the first signals on, and stays until the tree is gone. */
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
    for (const call of calls) call.catch(() => {}); // it has ended; the end of its output says so
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
    // As a broken pipe would: the command has lost its reader.
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

/** Of each stream, from its end. */
const collectedBytesMax = 1024 * 1024;

/** What a command prints, for a result as one object at its end. */
class Collected {
  readonly #streams = { stdout: { kept: Buffer.alloc(0), printed: 0 }, stderr: { kept: Buffer.alloc(0), printed: 0 } };

  add(bytes: Buffer, to: OutputStream): void {
    const stream = this.#streams[to];
    const all = Buffer.concat([stream.kept, bytes]);
    stream.kept = all.subarray(Math.max(0, all.length - collectedBytesMax));
  }

  /** Printed in all, also what was not read in time. */
  counted(printed: number, on: OutputStream): void {
    this.#streams[on].printed = printed;
  }

  /** As `node.invoke` answers it. */
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
