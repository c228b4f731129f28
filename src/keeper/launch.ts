/** What the table of runs is asked to start. */
import type { Container, SpawnRequest, TreeLimits } from "../platform/types.ts";
import type { RemoteRuns } from "./remote-runs.ts";
import type { RunKind } from "../protocol/keeper/messages.ts";
import type { Run } from "./run.ts";
import type { RunParts } from "./run-parts.ts";

export interface StartRequest {
  server: string;
  sessionId: string;
  onFrontLoss: "keep" | "kill";
  blob: string;
}

/** What input and output of a run may do to it. */
interface Stop {
  /** Tells every process of it that its terminal is gone. */
  hangUp: () => void;
  /** Ends it: it was sent more than a line may be. */
  onExcess: () => void;
}

/** One run that is to be, of whatever kind. */
export interface Launch {
  kind: RunKind;
  server: string | null;
  sessionId: string | null;
  scopeKey: string | null;
  /** The caller's own name for this start, if there is one. */
  requestId?: string | null;
  /** As the record and people see it. */
  command: string;
  onFrontLoss: "keep" | "kill";
  blob: string;
  limits: TreeLimits;
  request: SpawnRequest;
  /** Makes what the run is fed and heard by. */
  prepare(id: string, channel: number, stop: Stop): Pick<RunParts, "io" | "keepsDescendants" | "times">;
  /** Where it runs, if not here: around the container that holds what is started here. */
  place?(container: Container, far: RemoteRuns): { container: Container; host: string };
  /** Whether the config names another thing by now, or none. */
  isOutdated?(): boolean;
  /** It is in the table, and nothing is started yet. */
  onPrepared?(run: Run): void;
  onChange?(run: Run): void;
}
