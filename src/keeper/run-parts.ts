/** What one run is made of. */
import type { Clock } from "../clock.ts";
import type { TreeLimits } from "../platform/limit-watch.ts";
import type { StopGraces } from "../platform/stop-sequence.ts";
import type { Container } from "../platform/types.ts";
import type { RunIo } from "./background/run-io.ts";
import type { ErrorLog } from "./error-log.ts";
import type { Ledger } from "./ledger.ts";
import type { RunView } from "./protocol/messages.ts";
import type { Run } from "./run.ts";

export interface RunParts {
  container: Container;
  ledger: Ledger;
  /** Of an MCP run: its stderr. */
  errorLog?: ErrorLog | undefined;
  /** Of a background run: all its input and output; an MCP run has a relay. */
  io?: RunIo | undefined;
  /** What the command left behind lives on until the run is ended; by default it ends with the command. */
  keepsDescendants?: boolean | undefined;
  /** What a background run shows of itself besides. */
  figures?: (() => Partial<RunView>) | undefined;
  graces: StopGraces;
  limits: TreeLimits;
  clock: Clock;
  onExcess: (run: Run, what: string) => void;
  onChange: (run: Run) => void;
}

export interface RunLaunch {
  onFrontLoss: "keep" | "kill";
  blob: string;
  isOutdated?(): boolean;
}
