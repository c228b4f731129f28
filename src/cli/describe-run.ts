/** One line per background run, for people. */
import { describeExitCode } from "../platform/exit-code.ts";
import type { ProcessView, RunView } from "../protocol/run.ts";
import { systemClock } from "../clock.ts";
import { count, duration, megabytes } from "./print.ts";

const commandMax = 80;

export function clip(command: string): string {
  return command.length <= commandMax ? command : `${command.slice(0, commandMax - 1)}…`;
}

/** `exited, exit code 3`. */
export function describeOutcome({ endReason, exitCode, signal }: RunView): string {
  const reason = endReason ?? "exited";
  if (signal !== null) return `${reason}, signal ${signal}`;
  return exitCode === null ? reason : `${reason}, ${describeExitCode(exitCode)}`;
}

/** `ended: exited, exit code 3`. */
export function describeEnd(run: RunView): string {
  return `ended: ${describeOutcome(run)}`;
}

/** Human-readable bytes. */
export function size(bytes: number): string {
  return bytes < 10_000 ? `${bytes} B` : bytes < 1024 * 1024 ? `${Math.round(bytes / 1024)} KB` : megabytes(bytes);
}

/** Time since the last output or input, and bytes printed so far. */
export function describeUse(run: RunView, now = systemClock.now()): string {
  const { background } = run;
  if (background === null) return "";
  const { lastOutputAt, lastInputAt, lastViewedAt, outputBytes, growing } = background;
  const last = Math.max(run.startedAt, lastOutputAt ?? 0, lastInputAt ?? 0);
  const viewed = lastViewedAt !== null && now - lastViewedAt < 1000 ? ", attached" : "";
  const grows = growing === null ? "" : `  GROWING: ${growing}`;
  return `${size(outputBytes)} printed, idle ${duration(now - last)}${viewed}${grows}`;
}

/** A lost run of a node that did not return is given up, its end unseen. An ssh host is checked again. */
export function describeState({ state, host, endReason, silentSince }: RunView, now = systemClock.now()): string {
  const isNodes = host !== "local" && !host.startsWith("ssh:");
  const isGivenUp = state === "lost" && isNodes && (endReason === "node-lost" || endReason === "keeper-lost");
  const silence = silentSince === null ? "" : ` (no answer for ${duration(now - silentSince)})`;
  return isGivenUp ? "lost (given up)" : `${state}${silence}`;
}

export function describeBackground(run: RunView): string {
  const words = [`run ${run.id}`, run.kind];
  if (run.scopeKey !== null) words.push(`scope ${run.scopeKey}`);
  if (run.state === "exited") words.push(describeEnd(run));
  else {
    const rss = run.processes.reduce((sum, { rssBytes }) => sum + rssBytes, 0);
    const tree =
      run.processes.length === 0 ? "" : `, ${count(run.processes.length, "process", "processes")}, ${megabytes(rss)}`;
    words.push(`${describeState(run)} for ${duration(systemClock.now() - run.startedAt)}${tree}, ${describeUse(run)}`);
  }
  return `${words.join("  ")}  ${clip(run.command)}`;
}

/** Groups equal commands of one run without children or relevant differences, shown once with their number. */
export function groupEqual(processes: ProcessView[], hasChildren: (pid: number) => boolean): ProcessView[][] {
  const groups = new Map<string, ProcessView[]>();
  for (const one of processes) {
    const key = hasChildren(one.pid) ? `pid ${one.pid}` : `${one.ppid} ${one.command}`;
    const group = groups.get(key);
    if (group === undefined) groups.set(key, [one]);
    else group.push(one);
  }
  return [...groups.values()];
}
