/** A run as the ledger, the keeper, fronts, nodes and the API show it: one schema for all of them. Times are milliseconds since the epoch. */
import { z } from "zod";
import { requestIdShape, shortText, time } from "./shapes.ts";

export const runKinds = ["exec", "pty", "mcp"] as const;
export type RunKind = (typeof runKinds)[number];

export const runStates = ["starting", "running", "stopping", "exited", "lost"] as const;
export type RunState = (typeof runStates)[number];

/** Why a run ended. One union, in the ledger, in logs and in the API. */
export const endReasons = [
  "exited", // the main process ended by itself with a code
  "signaled", // the main process was ended by a signal that Holdfast did not send
  "session-ended",
  "scope-replaced",
  "timeout",
  "no-output",
  "cancelled",
  "front-lost",
  "lease-expired",
  "keeper-lost",
  "orphan-swept",
  "node-lost",
  "spawn-failed",
  "limit-exceeded",
  "defect", // Holdfast itself failed on what it said
  "config-changed", // its server is another in the config now, or is not in it any more
  "shutdown",
] as const;
export type EndReason = (typeof endReasons)[number];

const processShape = z
  .strictObject({
    pid: z.int(),
    ppid: z.int(),
    state: z.string().max(1).describe("letter as in ps"),
    rssBytes: z.int().min(0),
    startedAt: time,
    command: z.string(),
  })
  .meta({ id: "Process", title: "One process of a run. Zombies are not listed" });
export type ProcessView = z.infer<typeof processShape>;

export const onFrontLossShape = z.enum(["keep", "kill"]);

/** Of a terminal, as a program once set it. What may be asked for is bounded where it is asked. */
export const terminalSizeShape = z.strictObject({ columns: z.int(), rows: z.int() });
export type TerminalSize = z.infer<typeof terminalSizeShape>;

const backgroundShape = z
  .strictObject({
    request: requestIdShape.nullable().describe("request id of the start, on a node"),
    outputBytes: z.int().min(0).describe("printed so far"),
    lastOutputAt: time.nullable(),
    lastInputAt: time.nullable(),
    lastViewedAt: time.nullable().describe("last time with a viewer"),
    onFrontLoss: onFrontLossShape,
    keepMs: z.int().min(0).describe("how long it survives without a front"),
    size: terminalSizeShape.nullable().describe("of the terminal"),
    growing: z.string().nullable().describe("the command whose number of processes keeps growing, and that number"),
  })
  .meta({ id: "Background", title: "Details of a live background run" });
export type BackgroundView = z.infer<typeof backgroundShape>;

export const runShape = z
  .strictObject({
    id: shortText,
    kind: z.enum(runKinds),
    server: shortText.nullable().describe("name in the config"),
    sessionId: shortText.nullable(),
    scopeKey: shortText.nullable(),
    host: z.string().max(1024),
    state: z.enum(runStates),
    pid: z.int().nullable().describe("of the command; null until it is born, or if it ended before it was seen"),
    startedAt: time,
    endedAt: time.nullable().describe("when the tree was proven empty"),
    leaderEndedAt: time.nullable(),
    command: z.string(),
    cwd: z.string().nullable(),
    background: backgroundShape.nullable().describe("null for MCP runs and ended runs"),
    endReason: z.enum(endReasons).nullable().describe("see keeper.md"),
    exitCode: z.int().nullable(),
    signal: shortText.nullable(),
    survivors: z.array(processShape).describe("processes that could not be ended"),
    processes: z.array(processShape),
    silentSince: time
      .nullable()
      .describe("its host has not answered since, and this is what was last known; null while it answers"),
  })
  .meta({ id: "Run", title: "One process tree, started for one owner" });
export type RunView = z.infer<typeof runShape>;
