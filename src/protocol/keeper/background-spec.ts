/** What a start of a background run may say, and what holds where it says nothing. */
import type { BackgroundSpec } from "../background.ts";

/** What has a default may be left out. */
export type StartOptions = { [K in keyof Omit<BackgroundSpec, "argv" | "size">]?: BackgroundSpec[K] | undefined } & {
  /** A line for the shell; else `argv`. */
  command?: string | undefined;
  argv?: string[] | undefined;
  columns?: number | undefined;
  rows?: number | undefined;
  /** Answer when the run is over, or after so many milliseconds. */
  yieldMs?: number | undefined;
};

const defaults: Omit<BackgroundSpec, "argv"> = {
  kind: "exec",
  host: "local",
  cwd: null,
  env: {},
  sessionId: null,
  scopeKey: null,
  replaceExistingScope: false,
  background: true,
  streams: "merged",
  request: null,
  leaseMs: 0,
  onFrontLoss: "keep",
  keepMs: null,
  timeoutMs: 0,
  noOutputTimeoutMs: null,
  maxLifetimeMs: 0,
  descendants: "reap",
  size: { columns: 80, rows: 24 },
  stdin: true,
  limits: {},
};

/** Every default of a start is here; docs/runs.md says the same. */
export function completeSpec(
  argv: string[],
  given: { [K in keyof Omit<BackgroundSpec, "argv">]?: BackgroundSpec[K] | undefined },
): BackgroundSpec {
  const told = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { ...defaults, ...told, argv };
}
