/** The parts of one run. */
import type { Clock } from "../clock.ts";
import type { StopGraces } from "../platform/stop-sequence.ts";
import type { Container, Excess, ProcessTable, Spawned, SpawnRequest, TreeLimits } from "../platform/types.ts";
import type { Ledger } from "./ledger.ts";
import type { RunTimes } from "./run-timers.ts";

/** A run's input and output: lines for an MCP server, a capture for a background command, a log for an installation. */
export interface RunIo {
  /** Whether the command can notice the end of its input, which makes a grace worthwhile. */
  readonly hasInput: boolean;
  /** The streams that the spawn has to provide. */
  request(): Pick<SpawnRequest, "stdin" | "terminal">;
  begin(contained: Spawned): void;
  /** Ends the input: the first step of a stop. */
  endInput(): void;
  /** Resolves when all output has been taken; bounded. */
  drained(): Promise<void>;
  close(): void;
}

export interface RunParts<Io extends RunIo = RunIo> {
  container: Container;
  ledger: Ledger;
  /** Where its processes are looked up. */
  processes: ProcessTable;
  io: Io;
  /** Descendants outlive the command until the run is ended; by default they end with the command. */
  keepsDescendants?: boolean | undefined;
  /** Limits of a background run; others have none. */
  times?: RunTimes | undefined;
  graces: StopGraces;
  limits: TreeLimits;
  clock: Clock;
  /** The tree exceeded a limit. */
  onExcess: (excess: Excess) => void;
  /** The state or other visible data of the run has changed. */
  onChange: () => void;
}

export interface RunLaunch {
  onFrontLoss: "keep" | "kill";
  blob: string;
  isOutdated?(): boolean;
}
