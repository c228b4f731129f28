/** macOS as a `Platform`. Loads no addon until something is opened or looked at. */
import { fileURLToPath } from "node:url";
import { attempt, forkRestricted, startChild } from "../child-helper.ts";
import { HoldfastError } from "../../errors.ts";
import { killAll } from "../ending.ts";
import type { OpenOptions, Opened, Platform, TierObstacle } from "../types.ts";
import { openCoalition } from "./coalition-open.ts";
import { sweeper } from "./coalition-sweeper.ts";
import { ChainContainer } from "./container.ts";
import { ChainEpoch } from "./epoch.ts";
import { DarwinLook } from "./inspection/look.ts";
import { helpers, isHelper } from "./helpers.ts";
import { darwin, xnu } from "./system.ts";
import { openTerminal } from "./terminal.ts";
import { witness } from "./witness.ts";

/** Throws `unsupported_platform`, also where processes cannot be looked at. */
function open(ownerId: string, epoch: number, { only, directory }: OpenOptions): Opened {
  if (only !== undefined && only !== "chain" && only !== "coalition")
    throw new HoldfastError("unsupported_platform", `there is no ${only} tier on this macOS`);
  xnu();
  // Only on request, until a real Mac has shown it.
  if (only === "coalition")
    return { epoch: openCoalition({ darwin, ownerId, epoch, directory, sweeper }), refused: [] };
  return { epoch: new ChainEpoch(darwin, ownerId, epoch), refused: [] };
}

/** Tried, since it changes nothing. */
function obstacleHere(): TierObstacle | undefined {
  try {
    xnu();
    return undefined;
  } catch (thrown) {
    return { kind: "blind", reason: thrown instanceof Error ? thrown.message : String(thrown) };
  }
}

export const platform: Platform = {
  open,
  contain: (ownerId, runId) => new ChainContainer({ darwin, ownerId, runId, isGuarded: true }),
  identify: (pid) => darwin.processes.identify(pid),
  isSameAlive: (ref) => darwin.processes.isSameAlive(ref),
  signal: (ref, signal) => darwin.signal(ref, signal),
  killAll: (look) => killAll(darwin, look),
  processes: darwin.processes,
  look: () => new DarwinLook(xnu()),
  tiers: () => [
    { tier: "chain", obstacle: obstacleHere() },
    { tier: "coalition", obstacle: obstacleHere() },
  ],
  witness,
  bootId: () => darwin.processes.bootId(),
  openTerminal: (size) => openTerminal(size),
  forkFront: (request) => forkRestricted(helpers, request),
  treeScript: fileURLToPath(new URL("../tree.sh", import.meta.url)),
  attempt,
  isHelper,
  start: (command, env) => startChild(helpers, command, { env, stdio: ["ignore", "ignore", "pipe"] }).helper,
};
