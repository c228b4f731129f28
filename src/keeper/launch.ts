/** What the table of runs is asked to start. */
import type { TreeLimits } from "../platform/limit-watch.ts";
import type { Container, SpawnRequest } from "../platform/types.ts";
import type { FarRuns } from "./far-runs.ts";
import type { RunKind } from "./protocol/messages.ts";
import type { Run } from "./run.ts";
import type { RunParts } from "./run-parts.ts";

export interface StartRequest {
  server: string;
  sessionId: string;
  onFrontLoss: "keep" | "kill";
  blob: string;
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
  /** Makes what the run is fed and heard by. `hangUp` tells every process of it that its terminal is gone. */
  prepare(id: string, hangUp: () => void): Pick<RunParts, "io" | "errorLog" | "keepsDescendants" | "figures">;
  /** Where it runs, if not here: around the container that holds what is started here. */
  place?(container: Container, far: FarRuns): { container: Container; host: string };
  /** Whether the config names another thing by now, or none. */
  isOutdated?(): boolean;
  /** It is in the table, and nothing is started yet. */
  onPrepared?(run: Run): void;
  onChange?(run: Run): void;
}
