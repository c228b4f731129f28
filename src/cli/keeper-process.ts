/** Signals, tier and exit of commands whose process becomes a keeper. */
import { isPreview } from "../platform/preview.ts";
import { systemClock } from "../clock.ts";
import { becomeAgain, exitCodeOfSignal, ownTerminal } from "../platform/self/index.ts";
import type { TierName } from "../platform/types.ts";
import { HoldfastError } from "../errors.ts";
import type { KeeperEnd } from "../keeper/keeper-life.ts";
import type { Keeper } from "../keeper/keeper.ts";
import { say } from "../keeper/log.ts";

const tiers: readonly TierName[] = ["cgroup", "subreaper", "job", "coalition", "chain"];

export function tierOf(name: string | undefined): TierName | undefined {
  if (name === undefined || name === "") return undefined;
  const tier = tiers.find((each) => each === name);
  if (tier !== undefined) return tier;
  throw new HoldfastError("usage", `HOLDFAST_TIER is ${name}; it can be ${tiers.join(", ")}`);
}

/** Listens until disposed of; remembers the signal that ended the keeper. */
export interface KeeperSignals extends Disposable {
  /** The shell convention: 128 + n for signal n. Undefined: no signal. */
  readonly exitCode: number | undefined;
}

/**
 * SIGTERM and SIGINT stop it in order, a second one at once; SIGUSR2 ends everything and restarts. SIGHUP stops it too,
 * since its terminal is gone; without a terminal it calls `onHangup`, if given.
 */
export function listenForSignals(keeper: Keeper, onHangup?: () => void): KeeperSignals {
  // The loss of a reader of our output, such as a pager, is harmless.
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
  const preview = isPreview(keeper.tier) ? ", a preview: `holdfast selftest` shows what it holds here" : "";
  say(
    `containment: ${keeper.tier}${preview}${keeper.refusedTiers.length === 0 ? "" : ` (${keeper.refusedTiers.join("; ")})`}`,
  );
  for (const finding of keeper.reconciled.findings) say(`reconcile: ${finding}`);
}

/** Returns the exit code or throws the failure; does not return when the keeper is to restart. */
export async function conclude(end: KeeperEnd): Promise<number> {
  for (const run of end.survivors) {
    for (const { pid, state, command } of run.survivors) {
      say(`could not end pid ${pid} (state ${state}) of run ${run.id}: ${command}`);
    }
  }
  if (end.error !== undefined) throw end.error;
  // Survivors are on record; the next start tries again.
  if (end.again) await becomeAgain();
  if (end.survivors.length > 0)
    throw new HoldfastError(
      "survivors",
      "the processes above are left; they may need root or a restart of the machine",
    );
  return 0;
}

/** Time to set the exit code and to finish closing handles. */
const exitBoundMs = 500;

/** Exits after the keeper has ended, even if an unkillable process, say, keeps the event loop alive. */
export function exitSoon(): void {
  systemClock.after(exitBoundMs, () => process.exit());
}
