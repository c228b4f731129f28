/** The real macOS. */
import { systemClock } from "../../clock.ts";
import { systemRandom } from "../../random.ts";
import { Darwin } from "./darwin.ts";
import { startGuardian } from "./helpers.ts";
import { openLibproc } from "./libproc.ts";
import { spawnCommand } from "./spawning.ts";
import type { InspectedXnu } from "./xnu.ts";

/** PID_MAX (sys/proc_internal.h). */
const pidMax = 99_999;

let opened: InspectedXnu | undefined;

/** Throws `unsupported_platform` where libproc cannot be loaded. */
export function xnu(): InspectedXnu {
  opened ??= openLibproc();
  return opened;
}

export const darwin = new Darwin({
  xnu,
  clock: systemClock,
  random: systemRandom,
  pidMax,
  spawn: spawnCommand,
  startGuardian: (marker) => startGuardian({ marker }),
});
