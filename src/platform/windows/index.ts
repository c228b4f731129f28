/** Windows as a `Platform`. Loads no addon until something is opened or looked at. */
import { fileURLToPath } from "node:url";
import { attempt, forkRestricted, startChild, type HelperSystem } from "../child-helper.ts";
import { HoldfastError } from "../../errors.ts";
import { killAll } from "../ending.ts";
import type { Platform } from "../types.ts";
import { JobContainer } from "./container.ts";
import { open } from "./epoch.ts";
import { bootId, identify, isSameAlive, processes } from "./processes.ts";
import { requestSignal } from "./requests.ts";
import { signalProcess, system } from "./system.ts";
import { witness } from "./witness.ts";

/** A helper can only be ended: Node has no other signal for a process of Windows. */
const helpers: HelperSystem = { lend: (start) => start(), register: () => {}, signalOf: () => "SIGKILL" };

export const platform: Platform = {
  open,
  contain: (owner, runId) => new JobContainer(owner, runId),
  identify,
  isSameAlive,
  signal: (ref, signal) => signalProcess(ref, signal) || requestSignal(ref, signal),
  killAll: (look) => killAll(system, look),
  processes,
  look() {
    throw new HoldfastError("unsupported_platform", "holdfast doctor does not know Windows yet");
  },
  tiers: () => [{ tier: "job", obstacle: undefined }],
  witness,
  bootId,
  openTerminal() {
    throw new HoldfastError("spawn_failed", "there are no terminals on Windows yet");
  },
  forkFront: (request) => forkRestricted(helpers, request),
  treeScript: fileURLToPath(new URL("../tree.sh", import.meta.url)),
  attempt,
  isHelper: () => false,
  start: (command, env) => startChild(helpers, command, { env, stdio: ["ignore", "ignore", "pipe"] }).helper,
};
