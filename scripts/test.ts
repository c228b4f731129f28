/**
 * `npm test`: runs the tests, then says what was skipped and which packages bring what is missing. Arguments are passed on
 * to `node --test`; without any of them it is every test, with `--quick` every quick one, with `--long` every one that
 * has a long form, in that form (scripts/layers.ts). With HOLDFAST_TEST_STRICT=1 a skipped test is a failure. However the run ends, what it started ends with it.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { chmodSync, globSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { availableParallelism, tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { longFiles, quickFiles } from "./layers.ts";
import { describeSkips, type Skip } from "./skips.ts";
import { Started } from "./started.ts";

/** Tests wait more than they compute, quick ones do not. */
const filesAtATime = 2 * Math.max(2, Math.min(4, availableParallelism()));
/** For what ended just now and is not gone yet. */
const settleMs = 2000;
/** For gateways that are told to stop to end what they hold; and for the kernel, after SIGKILL. */
const graceMs = 10_000;
const killMs = 5000;

process.chdir(fileURLToPath(new URL("../", import.meta.url)));
const isStrict = process.env["HOLDFAST_TEST_STRICT"] === "1";
const layers = ["--quick", "--long"];
const given = process.argv.slice(2).filter((word) => !layers.includes(word));
const patience = Number(process.env["HOLDFAST_TEST_PATIENCE"] || 1);
const isQuick = process.argv.includes("--quick");
const isLong = process.argv.includes("--long");
// Short, because Unix sockets lie below it; and for all users, because gateways of an ordinary one do.
const place = mkdtempSync(join(tmpdir(), "holdfast-"));
chmodSync(place, 0o1777);

interface Phase {
  /** Besides those that were given. */
  readonly files: readonly string[];
  readonly atATime: number;
}

/** Quick tests compute, and would take the processor from those that wait for something in time: they have it to themselves. */
function phases(): Phase[] {
  if (given.some((word) => !word.startsWith("-"))) return [{ files: [], atATime: filesAtATime }];
  if (isLong) return [{ files: longFiles(), atATime: filesAtATime }];
  const quick = { files: quickFiles(), atATime: availableParallelism() };
  if (isQuick) return [quick];
  const others = globSync("test/**/*.test.ts").filter((file) => !quick.files.includes(file));
  return [quick, { files: others.toSorted(), atATime: filesAtATime }];
}

function wordsOf({ files, atATime }: Phase, skipsFile: string): string[] {
  const reporters = [
    ["spec", "stdout"],
    ["./scripts/skip-reporter.ts", skipsFile],
  ];
  return [
    "--test",
    `--test-timeout=${isLong ? 1_200_000 : 300_000 * patience}`,
    ...(given.some((word) => word.startsWith("--test-concurrency")) ? [] : [`--test-concurrency=${atATime}`]),
    ...reporters.flatMap(([name, to]) => [`--test-reporter=${name}`, `--test-reporter-destination=${to}`]),
    ...given,
    ...files,
  ];
}

/** Ends what is left of the run. Returns whether there was nothing, and says what there was. */
async function endTheRest(started: Started, isInterrupted: boolean): Promise<boolean> {
  const found = isInterrupted ? started.look() : await started.settle(settleMs);
  const left = await started.end(graceMs, killMs);
  const tell = (what: string, those: typeof left) => {
    for (const { pid, command } of those) console.error(`${what}: pid ${pid}, ${command.slice(0, 200)}`);
  };
  if (!isInterrupted) tell("a test left behind", found);
  tell("could not be ended", left);
  return found.length === 0;
}

const env = {
  NODE_COMPILE_CACHE: join(process.cwd(), "node_modules/.cache/compile"),
  HOLDFAST_TEST_PROGRAM: isQuick ? "dist" : "lib",
  ...(isLong ? { HOLDFAST_TEST_LONG: "1" } : {}),
  ...process.env,
  TMPDIR: place,
};
let interrupt: (signal: NodeJS.Signals) => void = () => {};
let interruptedBy: NodeJS.Signals | undefined;
for (const signal of ["SIGTERM", "SIGHUP", "SIGINT"] as const) {
  process.on(signal, () => {
    interruptedBy ??= signal;
    interrupt(signal);
  });
}

/** Resolves with what was skipped. */
async function play(phase: Phase, skipsFile: string): Promise<Skip[]> {
  const tests = spawn(process.execPath, wordsOf(phase, skipsFile), { stdio: "inherit", env });
  const started = new Started(place, tests.pid ?? process.pid);
  interrupt = (signal) => {
    started.look(); // while each still has the parent by which it is known
    if (signal !== "SIGINT") tests.kill(signal); // the terminal tells the tests too
  };
  const [code] = (await once(tests, "exit")) as [number | null];
  if (code !== 0) process.exitCode = code ?? 1;
  if (!(await endTheRest(started, interruptedBy !== undefined))) process.exitCode = 1;
  if (interruptedBy !== undefined) return [];
  const lines = readFileSync(skipsFile, "utf8").split("\n");
  return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as Skip);
}

try {
  const skips: Skip[] = [];
  for (const [index, phase] of phases().entries())
    if (interruptedBy === undefined) skips.push(...(await play(phase, join(place, `skips-${index}.jsonl`))));
  if (interruptedBy !== undefined) {
    console.error(`interrupted by ${interruptedBy}; everything that the tests started has been ended`);
  } else {
    console.log(describeSkips(skips, isStrict));
    if (isStrict && skips.length > 0) process.exitCode = 1;
  }
} finally {
  rmSync(place, { recursive: true, force: true });
}
