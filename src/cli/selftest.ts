/** `holdfast selftest`: plays attacks and the deaths of owners on this machine, and reports what held. */
import { release } from "node:os";
import { systemClock } from "../clock.ts";
import { platform, requirePlatform } from "../platform/index.ts";
import { isPreview } from "../platform/preview.ts";
import type { Machine } from "../platform/types.ts";
import { lateReason } from "../selftest/attacks.ts";
import { selftest as play, type SelftestOptions } from "../selftest/selftest.ts";
import { isBroken, tierNames, type Result, type Verdict } from "../selftest/types.ts";
import { version } from "../version.ts";
import { align, printJson, printLines } from "./print.ts";

export interface SelftestCommand {
  json: boolean;
  /** Time limit for the whole test. */
  timeLimitSeconds: number;
}

/** Long reasons are cut at the end, which says least. */
const reasonLengthMax = 160;

/** A reason shared by more rows than this shows their number instead of their names, which would fill the screen. */
const namedRowsMax = 6;

/** Resolves with 0 when everything held, else with 1; 130 when interrupted. `open`: the test subject, for tests. */
export async function selftest(options: SelftestCommand, open?: SelftestOptions["open"]): Promise<number> {
  requirePlatform();
  const stopping = new AbortController();
  const stop = () => stopping.abort();
  for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.once(signal, stop);
  const began = systemClock.monotonic();
  try {
    const results = await play({
      boundMs: options.timeLimitSeconds * 1000,
      signal: stopping.signal,
      onResult: (result) => process.stderr.write(`${describeOne(result)}\n`),
      ...(open === undefined ? {} : { open }),
    });
    const isHeld = results.some(({ verdict }) => verdict === "held") && !results.some(isBroken);
    const ms = Math.round(systemClock.monotonic() - began);
    const machine = platform.witness.machine();
    const { system, under = null, isRoot = null } = machine;
    if (options.json) printJson({ version, system, under, kernel: release(), isRoot, isHeld, ms, results });
    else printLines(describeAll(machine, results, isHeld, ms));
    return isHeld ? 0 : 1;
  } catch (cause) {
    if (!stopping.signal.aborted) throw cause;
    process.stderr.write("interrupted; nothing was left behind\n");
    return 130;
  } finally {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.off(signal, stop);
  }
}

function describeVerdict({ verdict, left, processes, ms }: Result): string {
  const words: Record<Verdict, string> = {
    held: `held, ${ms} ms`,
    "best effort": `${left.length} of ${processes} left (best effort)`,
    left: `LEFT ${left.length} of ${processes}`,
    failed: "FAILED",
    "not available": "not available",
  };
  return words[verdict];
}

function describeOne(result: Result): string {
  const { kind, name, tier, reason } = result;
  const what = kind === "attack" ? `a process hides by ${name}` : `the owner ends by ${name}`;
  const why = reason === undefined ? "" : `: ${reason.slice(0, reasonLengthMax)}`;
  return `${tier}, ${what}: ${describeVerdict(result)}${why}`;
}

function markdown(rows: readonly string[][]): string[] {
  const [head = [], ...rest] = align(rows);
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  return [line(head), `|${head.map((cell) => "-".repeat(cell.length + 2)).join("|")}|`, ...rest.map(line)];
}

function describeKind(results: readonly Result[], kind: Result["kind"], title: string): string[] {
  const own = results.filter((result) => result.kind === kind);
  const names = [...new Set(own.map(({ name }) => name))];
  const cell = (name: string, tier: string) => {
    const found = own.find((result) => result.name === name && result.tier === tier);
    return found === undefined ? "" : describeVerdict(found);
  };
  const tiers = tierNames();
  return markdown([[title, ...tiers], ...names.map((name) => [name, ...tiers.map((tier) => cell(name, tier))])]);
}

function conclusion(results: readonly Result[], isHeld: boolean): string {
  if (isHeld) return "Held: nothing was left that the tiers of this machine guarantee to end.";
  const broken = results.filter(isBroken);
  if (broken.length === 0) return "Nothing was tried: this machine can play none of the rows, for the reasons above.";
  if (broken.every(({ reason }) => reason === lateReason))
    return "NOT FINISHED: so far nothing was left that the tiers guarantee to end; a larger --time-limit leaves time for the other rows.";
  return "NOT HELD: see the rows in capitals; please report them with this output.";
}

/** What of the machine decides which rows hold. */
function describeMachine({ system, under, hasSystemd, isRoot }: Machine): string {
  const words = [under === undefined ? system : `${system} (${under})`, process.arch];
  const user = isRoot === undefined ? [] : [isRoot ? "root" : "an ordinary user"];
  const manager = hasSystemd === undefined ? [] : [hasSystemd ? "systemd" : "no systemd"];
  const tiers = platform.tiers().map(({ tier, obstacle }) => {
    return obstacle === undefined ? tier : `no ${tier} (${obstacle.kind})`;
  });
  return [words.join(" "), `Node.js ${process.versions.node}`, ...user, ...manager, `tiers: ${tiers.join(", ")}`].join(
    ", ",
  );
}

/** The middle of what all starts took. */
function describeStarts(results: readonly Result[]): string[] {
  const times = results.flatMap(({ startMs = [] }) => startMs).sort((one, other) => one - other);
  const middle = times[Math.floor(times.length / 2)];
  return middle === undefined ? [] : [`A start took ${middle} ms (median of ${times.length}).`];
}

/** A preview asks for its table, also when everything was held. */
export function describePreviews(results: readonly Result[]): string[] {
  const played = results.filter(({ tier, verdict }) => isPreview(tier) && verdict !== "not available");
  const tiers = [...new Set(played.map(({ tier }) => `\`${tier}\``))];
  if (tiers.length === 0) return [];
  const what = tiers.length === 1 ? "is a preview that was" : "are previews that were";
  return [
    `${tiers.join(" and ")} ${what} never tried on this system by its makers: please report this table, whatever it says.`,
  ];
}

function describeAll(machine: Machine, results: readonly Result[], isHeld: boolean, ms: number): string[] {
  const reasons = results.filter(({ reason }) => reason !== undefined);
  const byReason = Map.groupBy(reasons, ({ reason, verdict, tier }) => `${tier}, ${verdict}: ${reason}`);
  return [
    `holdfast ${version}, ${describeMachine(machine)}; ${(ms / 1000).toFixed(1)} s`,
    "",
    ...describeKind(results, "attack", "a process hides by"),
    "",
    ...describeKind(results, "end", "its owner ends by"),
    "",
    ...[...byReason].map(
      ([reason, of]) =>
        `${reason.slice(0, reasonLengthMax)} (${of.length > namedRowsMax ? `${of.length} rows` : of.map(({ name }) => name).join("; ")})`,
    ),
    ...describeStarts(results),
    conclusion(results, isHeld),
    ...describePreviews(results),
  ];
}
