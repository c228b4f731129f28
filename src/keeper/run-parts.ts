/** What one run is made of. */
import type { Clock } from "../clock.ts";
import type { StopGraces } from "../platform/stop-sequence.ts";
import type { Container, Excess, Spawned, SpawnRequest, TreeLimits } from "../platform/types.ts";
import type { Ledger } from "./ledger.ts";
import type { RunTimes } from "./run-timers.ts";

/** How a run is fed and heard: lines for an MCP server, a capture for a background command, a log for an installation. */
export interface RunIo {
  /** Whether the command can notice the end of its input, so that it is worth a grace. */
  readonly hasInput: boolean;
  /** What the spawn needs to know of it. */
  request(): Pick<SpawnRequest, "stdin" | "terminal">;
  begin(contained: Spawned): void;
  /** No more input: the first step of a stop. */
  endInput(): void;
  /** Resolves when all that was printed has been taken; bounded. */
  drained(): Promise<void>;
  close(): void;
}

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
