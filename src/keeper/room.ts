/** Whether there is room for one more run: by the config, and by the keeper's open file limit. */
import type { OwnUsage } from "../platform/types.ts";
import { HoldfastError } from "../errors.ts";

/** Descriptors needed at once to start a run: pipes, child ends, a log, a terminal. */
const descriptorsPerRun = 16;
/** Reserve for the keeper's other work. */
const descriptorMargin = 16;

/** Throws `run_limit`. `live`: runs that are alive. */
export function checkRoom(live: number, runsMax: number, use?: OwnUsage): void {
  if (live >= runsMax)
    throw new HoldfastError("run_limit", `${runsMax} runs are alive, which is limits.runsMax; end some or raise it`);
  // Each live run may still open its log.
  const neededMin = descriptorsPerRun + descriptorMargin + live;
  if (use === undefined || use.descriptorsMax - use.descriptors >= neededMin) return;
  const message = `${use.descriptors} of the gateway's ${use.descriptorsMax} file descriptors are in use, and the rest is kept for its own helpers`;
  throw new HoldfastError("run_limit", `${message}; end some runs, or raise the limit (ulimit -n, LimitNOFILE=)`);
}
