/** What one run is made of. */
import type { Clock } from "../clock.ts";
import type { StopGraces } from "../platform/stop-sequence.ts";
import type { Container, Excess, TreeLimits } from "../platform/types.ts";
import type { Ledger } from "./ledger.ts";
import type { RunIo } from "./run-io.ts";
import type { RunTimes } from "./run-timers.ts";

export interface RunParts<Io extends RunIo = RunIo> {
  container: Container;
  ledger: Ledger;
  io: Io;
  /** What the command left behind lives on until the run is ended; by default it ends with the command. */
  keepsDescendants?: boolean | undefined;
  /** Of a background run; others have no limit of time. */
  times?: RunTimes | undefined;
  graces: StopGraces;
  limits: TreeLimits;
  clock: Clock;
  /** A limit of the tree was exceeded. */
  onExcess: (excess: Excess) => void;
  /** The state, or what else is told of the run, has changed. */
  onChange: () => void;
}

export interface RunLaunch {
  onFrontLoss: "keep" | "kill";
  blob: string;
  isOutdated?(): boolean;
}
