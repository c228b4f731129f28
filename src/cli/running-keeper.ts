/** The keeper of a state directory as a process: found by its record, and never confused with one that took over its pid. */
import { join } from "node:path";
import { systemClock } from "../clock.ts";
import { platform } from "../platform/index.ts";
import { HoldfastError } from "../errors.ts";
import { readKeeperRecord, statePaths, type KeeperRecord } from "../keeper/state-directory.ts";
import type { CommandContext } from "./context.ts";

/** The end of a process that is not our child gives no event, so it is polled. */
const lookMs = 50;
const tellAfterMs = 1000;
const tellEveryMs = 5000;

/** The record, if the process that it names still lives. */
export function findKeeper(state: string): KeeperRecord | undefined {
  const record = readKeeperRecord(statePaths(state));
  return record !== undefined && isSame(record) ? record : undefined;
}

/** Where the gateway of a state directory listens; nowhere when none runs. */
export function urlsOf(state: string): readonly string[] {
  return findKeeper(state)?.urls ?? [];
}

/** The config file of the gateway that runs on a state directory; undefined when none runs. */
export function runningConfig(state: string): string | undefined {
  const keeper = findKeeper(state);
  return keeper === undefined ? undefined : (keeper.config ?? join(state, "holdfast.json"));
}

/** The config file that was named, else the running gateway's, else `<state>/holdfast.json`. */
export function ownFile({ config, state }: CommandContext): string {
  return config ?? runningConfig(state) ?? join(state, "holdfast.json");
}

/** Whether the process of a record lives: same boot, same pid, same start. */
export function isSame(record: KeeperRecord): boolean {
  return platform.isSameAlive(record);
}

export function signalKeeper(record: KeeperRecord, signal: NodeJS.Signals): void {
  if (platform.signal(record, signal)) return;
  const message = `the gateway (pid ${record.pid}) cannot be signalled; is it another user's?`;
  throw new HoldfastError("gateway_unreachable", message);
}

/** Asks until the answer is yes; says on stderr what it waits for when that takes long. False: `boundMs` are over. */
export async function waitFor(what: string, ask: () => boolean | Promise<boolean>, boundMs: number): Promise<boolean> {
  const began = systemClock.monotonic();
  let tellAt = tellAfterMs;
  for (;;) {
    if (await ask()) return true;
    const waited = systemClock.monotonic() - began;
    if (waited >= boundMs) return false;
    if (waited >= tellAt) {
      process.stderr.write(`waiting for ${what} (${Math.round(waited / 1000)} s)\n`);
      tellAt += tellEveryMs;
    }
    await systemClock.sleep(lookMs);
  }
}
