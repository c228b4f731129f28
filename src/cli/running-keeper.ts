/** The keeper process of a state directory, found by its record and told apart from later processes with its pid. */
import { join } from "node:path";
import { systemClock } from "../clock.ts";
import { platform } from "../platform/index.ts";
import { HoldfastError } from "../errors.ts";
import { readKeeperRecord, statePaths, type KeeperRecord } from "../keeper/state-directory.ts";
import type { CommandContext } from "./context.ts";

/** The end of a process that is not our child causes no event, so it is polled. */
const lookMs = 50;
const tellAfterMs = 1000;
const tellEveryMs = 5000;

/** The record, if its process is alive. */
export function findKeeper(state: string): KeeperRecord | undefined {
  const record = readKeeperRecord(statePaths(state));
  return record !== undefined && isSame(record) ? record : undefined;
}

/** Addresses of a state directory's gateway; empty when none runs. */
export function urlsOf(state: string): readonly string[] {
  return findKeeper(state)?.urls ?? [];
}

/** The config file of the gateway running on a state directory; undefined when none runs. */
export function runningConfig(state: string): string | undefined {
  const keeper = findKeeper(state);
  return keeper === undefined ? undefined : (keeper.config ?? join(state, "holdfast.json"));
}

/** The given config file, else the running gateway's, else `<state>/holdfast.json`. */
export function ownFile({ config, state }: CommandContext): string {
  return config ?? runningConfig(state) ?? join(state, "holdfast.json");
}

/** Whether the recorded process is alive: same boot, pid and start time. */
export function isSame(record: KeeperRecord): boolean {
  return platform.isSameAlive(record);
}

export function signalKeeper(record: KeeperRecord, signal: NodeJS.Signals): void {
  if (platform.signal(record, signal)) return;
  const message = `the gateway (pid ${record.pid}) cannot be signalled; is it another user's?`;
  throw new HoldfastError("gateway_unreachable", message);
}

/** Polls until `ask` is true; a long wait is reported on stderr. False: `boundMs` have passed. */
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
