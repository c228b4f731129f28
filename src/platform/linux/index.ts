/** Linux as a `Platform`. Loads no addon until something is opened. */
import { killAll } from "../ending.ts";
import type { Platform } from "../types.ts";
import { attempt } from "../child-helper.ts";
import { forkFront, startHelper } from "./helpers.ts";
import { LinuxLook } from "./inspection/look.ts";
import { open } from "./open.ts";
import { programDirectory } from "./programs.ts";
import { bootId, identify, isSameAlive, processes } from "./processes.ts";
import { isHelper, scriptPath } from "./shell.ts";
import { signalProcess } from "./signals.ts";
import { GuardedContainer, installGuardPrograms } from "./subreaper.ts";
import { system } from "./system.ts";
import { openTerminal } from "./terminal.ts";
import { findTiers } from "./tiers.ts";
import { witness } from "./witness.ts";

export const platform: Platform = {
  open,
  contain: (owner, runId) =>
    new GuardedContainer(installGuardPrograms(programDirectory()), owner, runId, "outer-shell"),
  identify,
  isSameAlive,
  signal: signalProcess,
  killAll: (look) => killAll(system, look),
  processes,
  look: () => new LinuxLook(),
  tiers: findTiers,
  witness,
  bootId,
  openTerminal,
  forkFront,
  treeScript: scriptPath("tree.sh"),
  attempt,
  isHelper,
  start: (command, env) => startHelper(command, { env, stdio: ["ignore", "ignore", "pipe"] }).helper,
};
