/** The real macOS. */
import { systemClock } from "../../clock.ts";
import { systemRandom } from "../../random.ts";
import { Darwin } from "./darwin.ts";
import { startGuardian } from "./helpers.ts";
import { openLibproc } from "./libproc.ts";
import { spawnCommand } from "./spawning.ts";
import type { Xnu } from "./xnu.ts";

/** PID_MAX (sys/proc_internal.h). */
const pidMax = 99_999;

let opened: Xnu | undefined;

function xnu(): Xnu {
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
