/** A start as the run table receives it. */
import type { RunKind } from "../protocol/run.ts";
import type { Container, SpawnRequest, TreeLimits } from "../platform/types.ts";
import type { RemoteRuns } from "./remote-runs.ts";
import type { Run } from "./run.ts";
import type { RunParts } from "./run-parts.ts";

export interface StartRequest {
  server: string;
  sessionId: string;
  onFrontLoss: "keep" | "kill";
  blob: string;
}

/** Effects that a run's input and output may have on it. */
interface Stop {
  /** Tells every process of the run that its terminal is gone. */
  hangUp: () => void;
  /** Ends the run: it was sent an oversized line. */
  onExcess: () => void;
}

/** The start of one run of any kind. */
export interface Launch {
  kind: RunKind;
  server: string | null;
  sessionId: string | null;
  scopeKey: string | null;
  /** The caller's own id for this start. */
  requestId?: string | null;
  /** The command as the record and people see it. */
  command: string;
  onFrontLoss: "keep" | "kill";
  blob: string;
  limits: TreeLimits;
  request: SpawnRequest;
  /** Creates the run's input and output. */
  prepare(id: string, channel: number, stop: Stop): Pick<RunParts, "io" | "keepsDescendants" | "times">;
  /** Wraps the local container for a run on another host. */
  place?(container: Container, remote: RemoteRuns): { container: Container; host: string };
  /** Whether the config has changed or removed this run's server. */
  isOutdated?(): boolean;
  /** Called once the run is in the table, before the spawn. */
  onPrepared?(run: Run): void;
  onChange?(run: Run): void;
}
