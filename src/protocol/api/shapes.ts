/** Shared result shapes; the compiler compares each with its type. */
import { z } from "zod";
import { endReasons, type CrashView, type ProcessView, type RunView } from "../keeper/messages.ts";
import type { BackgroundView } from "../keeper/background.ts";

/** Milliseconds since 1970. */
export const time = z.number();

const processShape = z
  .object({
    pid: z.int(),
    ppid: z.int(),
    state: z.string().describe("letter as in ps"),
    rssBytes: z.int(),
    startedAt: time,
    command: z.string(),
  })
  .meta({ id: "Process", title: "One process of a run. Zombies are not listed" });
processShape satisfies z.ZodType<ProcessView>;

const backgroundShape = z
  .object({
    request: z.string().nullable().describe("request id of the start, on a node"),
    outputBytes: z.int().describe("printed so far"),
    lastOutputAt: time.nullable(),
    lastInputAt: time.nullable(),
    lastViewedAt: time.nullable().describe("last time with a viewer"),
    onFrontLoss: z.enum(["keep", "kill"]),
    keepMs: z.int().describe("how long it survives without a front"),
    size: z.object({ columns: z.int(), rows: z.int() }).nullable().describe("of the terminal"),
    growing: z.string().nullable().describe("the command whose number of processes keeps growing, and that number"),
  })
  .meta({ id: "Background", title: "Details of a live background run" });
backgroundShape satisfies z.ZodType<BackgroundView>;

export const runShape = z
  .object({
    id: z.string(),
    kind: z.enum(["exec", "pty", "mcp"]),
    server: z.string().nullable().describe("name in the config"),
    sessionId: z.string().nullable(),
    scopeKey: z.string().nullable(),
    host: z.string(),
    state: z.enum(["starting", "running", "stopping", "exited", "lost"]),
    pid: z.int().nullable().describe("of the command"),
    startedAt: time,
    endedAt: time.nullable().describe("when the tree was proven empty"),
    leaderEndedAt: time.nullable(),
    command: z.string(),
    cwd: z.string().nullable(),
    background: backgroundShape.nullable().describe("null for MCP runs and ended runs"),
    endReason: z.enum(endReasons).nullable().describe("see keeper.md"),
    exitCode: z.int().nullable(),
    signal: z.string().nullable(),
    survivors: z.array(processShape).describe("processes that could not be ended"),
    processes: z.array(processShape),
  })
  .meta({ id: "Run", title: "One process tree, started for one owner" });
runShape satisfies z.ZodType<RunView>;

export const sessionShape = z
  .object({
    id: z.string(),
    kind: z.enum(["mcp", "ws", "stdio"]).describe("transport of the client"),
    client: z.object({ name: z.string(), version: z.string() }),
    parentId: z.string().nullable(),
    createdAt: time,
    lastSeenAt: time,
    leaseMs: z.int().describe("how long it survives without its client"),
    present: z.boolean().describe("its client has an open request, stream or socket"),
    server: z.string().nullable().describe("the server of `/mcp/<server>`"),
    runs: z.array(z.string()).describe("run ids"),
  })
  .meta({ id: "Session", title: "One client and what it owns" });
export type SessionView = z.infer<typeof sessionShape>;

export const crashShape = z
  .object({
    who: z.enum(["front", "guardian", "keeper"]),
    epoch: z.int().describe("of the keeper at that time"),
    at: time.describe("when it was noticed; for a keeper, its last sign of life"),
    pid: z.int(),
    why: z
      .enum(["died", "stuck", "threw", "vanished", "machine-restarted"])
      .describe("died: see exitCode, signal; stuck: blocked event loop; vanished: no clean stop"),
    detail: z.string().nullable().describe("more about the cause"),
    exitCode: z.int().nullable(),
    signal: z.string().nullable(),
    lastMethod: z.string().nullable().describe("last handler it announced"),
    downMs: z.number().nullable().describe("until another front served; null: not yet, or not a front"),
    file: z.string().describe("the end of its stderr"),
  })
  .meta({ id: "Crash", title: "One crash of a front, a guardian or a keeper" });
crashShape satisfies z.ZodType<CrashView>;
