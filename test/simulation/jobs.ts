/** Work spread over child processes: each gets another piece when it is done with one. None outlives its parent. */
import { fork, type ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

export const jobsDefault = availableParallelism();

/** A storm or point takes less than a second on a quiet machine. */
const patienceMsDefault = 180_000;

/** A storm is over before its objects are old: with room for them, the collector takes a third less of the time. */
const execArgv = ["--max-semi-space-size=32"];

export interface SpreadOptions<P, R> {
  /** What a child runs; it calls `answerPieces`. */
  readonly module: URL;
  readonly pieces: Iterable<P>;
  readonly jobs: number;
  readonly take: (result: R, piece: P) => void;
  /** Result of a piece in which the child ended. */
  readonly failed: (piece: P, how: string) => R;
  /** For how long a child may be silent over a piece, in milliseconds: a loop that never ends is a failure of its piece. */
  readonly patienceMs?: number | undefined;
  /** Ends the children; pieces under way have no result. */
  readonly signal?: AbortSignal | undefined;
}

export async function spread<P extends object, R>(options: SpreadOptions<P, R>): Promise<void> {
  const { module, pieces, jobs, take, failed, patienceMs = patienceMsDefault, signal } = options;
  const queue = pieces[Symbol.iterator]();
  const children = new Set<ChildProcess>();
  // What a killed child was writing goes with it.
  const directory = mkdtempSync(join(tmpdir(), "holdfast-jobs-"));
  const start = () => {
    const child = fork(fileURLToPath(module), { execArgv, env: { ...process.env, TMPDIR: directory } });
    children.add(child);
    return child;
  };
  const work = async () => {
    let child = start();
    for (let next = queue.next(); next.done !== true; next = queue.next()) {
      const piece = next.value;
      const answer = await ask(child, piece, patienceMs, signal);
      if (answer === undefined) return;
      take("result" in answer ? (answer.result as R) : failed(piece, answer.how), piece);
      if ("how" in answer) child = start();
    }
  };
  try {
    await Promise.all(Array.from({ length: jobs }, work));
  } finally {
    await Promise.all([...children].map(end));
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Resolves when it is gone. */
function end(child: ChildProcess): Promise<void> {
  return new Promise((resolve) => {
    if (child.exitCode !== null || child.signalCode !== null) return resolve();
    child.once("exit", () => resolve());
    child.kill("SIGKILL");
  });
}

type Answer = { readonly result: unknown } | { readonly how: string };

/** The result, or how the child ended; undefined when `signal` aborted before. */
function ask(
  child: ChildProcess,
  piece: object,
  patienceMs: number,
  signal?: AbortSignal,
): Promise<Answer | undefined> {
  return new Promise((resolve) => {
    if (signal?.aborted === true) return resolve(undefined);
    let isSilent = false;
    const silent = setTimeout(() => {
      isSilent = true;
      child.kill("SIGKILL");
    }, patienceMs);
    const heard = (result: unknown) => over({ result });
    const exited = (code: number | null, by: string | null) =>
      over({ how: isSilent ? `gave no answer for ${patienceMs} ms` : `ended with ${by ?? code}` });
    const aborted = () => over(undefined);
    const over = (answer: Answer | undefined) => {
      clearTimeout(silent);
      child.off("message", heard);
      child.off("exit", exited);
      signal?.removeEventListener("abort", aborted);
      resolve(signal?.aborted === true ? undefined : answer);
    };
    child.on("message", heard);
    child.on("exit", exited);
    signal?.addEventListener("abort", aborted);
    child.send(piece);
  });
}

/** Answers each piece, in a child of `spread`. */
export function answerPieces(play: (piece: never) => Promise<unknown>): void {
  process.on("message", (piece) => {
    void play(piece as never).then((result) => process.send?.(result));
  });
  process.once("disconnect", () => process.exit());
  // An interrupt from the terminal reaches the parent too, which ends this process.
  process.on("SIGINT", () => {});
}
