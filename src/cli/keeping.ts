/** What every command has in common whose process becomes a keeper: its signals, its tier, its end. */
import { systemClock } from "../clock.ts";
import { becomeAgain, exitCodeOfSignal, ownTerminal } from "../platform/self/index.ts";
import type { TierName } from "../platform/types.ts";
import { HoldfastError } from "../errors.ts";
import type { KeeperEnd } from "../keeper/keeper-life.ts";
import type { Keeper } from "../keeper/keeper.ts";
import { say } from "../keeper/log.ts";

export function tierOf(name: string | undefined): TierName | undefined {
  if (name === undefined || name === "") return undefined;
  if (name === "cgroup" || name === "subreaper") return name;
  throw new HoldfastError("usage", `HOLDFAST_TIER is ${name}; it can be cgroup or subreaper`);
}

/** Listens until it is disposed of; knows by which signal the keeper was ended. */
export interface KeeperSignals extends Disposable {
  /** As a shell says it: 128 + n for signal n. Undefined: no signal came. */
  readonly exitCode: number | undefined;
}

/**
 * SIGTERM and SIGINT end in order, the second one at once; SIGUSR2 ends everything and starts anew. SIGHUP ends it as well:
 * the terminal is gone. Without a terminal to begin with it does `onHangup`, if that is given.
 */
export function listenForSignals(keeper: Keeper, onHangup?: () => void): KeeperSignals {
  // Whoever reads what we say may be gone, a pager or a log's pipe: that ends nothing.
  for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  let first: NodeJS.Signals | undefined;
  const stop = (signal: NodeJS.Signals) => {
    if (first !== undefined) {
      say("stopping now");
      keeper.hurry();
      return;
    }
    first = signal;
    say(`stopping on ${signal}; once more to skip the graces`);
    void keeper.close("shutdown"); // `ended` tells the outcome
  };
  const again = () => void keeper.close("shutdown", undefined, { again: true }); // `ended` tells the outcome
  const hangup = onHangup === undefined || ownTerminal() !== "none" ? undefined : onHangup;
  const stops: NodeJS.Signals[] = hangup === undefined ? ["SIGTERM", "SIGINT", "SIGHUP"] : ["SIGTERM", "SIGINT"];
  for (const signal of stops) process.on(signal, stop);
  process.on("SIGUSR2", again);
  if (hangup !== undefined) process.on("SIGHUP", hangup);
  return {
    get exitCode() {
      return first === undefined ? undefined : exitCodeOfSignal(first);
    },
    [Symbol.dispose]() {
      for (const signal of stops) process.off(signal, stop);
      process.off("SIGUSR2", again);
      if (hangup !== undefined) process.off("SIGHUP", hangup);
    },
  };
}

export function sayTier(keeper: Keeper): void {
  say(`containment: ${keeper.tier}${keeper.refusedTiers.length === 0 ? "" : ` (${keeper.refusedTiers.join("; ")})`}`);
  for (const word of keeper.reconciled.words) say(`reconcile: ${word}`);
}

/** The exit code, or what went wrong; does not return when the keeper is to start anew. */
export function conclude(end: KeeperEnd): number {
  for (const run of end.survivors) {
    for (const { pid, state, command } of run.survivors) {
      say(`could not end pid ${pid} (state ${state}) of run ${run.id}: ${command}`);
    }
  }
  if (end.error !== undefined) throw end.error;
  // What is left is on record, and the next start tries it again.
  if (end.again) becomeAgain();
  if (end.survivors.length > 0)
    throw new HoldfastError(
      "survivors",
      "the processes above are left; they may need root or a restart of the machine",
    );
  return 0;
}

/** Time for the exit code to be set and for handles that are being closed, in milliseconds. */
const exitBoundMs = 500;

/** A keeper that has ended exits, whatever still holds its event loop: a process that could not be ended, for one. */
export function exitSoon(): void {
  systemClock.after(exitBoundMs, () => process.exit());
}
