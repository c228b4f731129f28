/** Shapes that several methods answer with. Each says the same as the type it carries; the compiler holds them together. */
import { z } from "zod";
import { endReasons, type CrashView, type ProcessView, type RunView } from "../../keeper/protocol/messages.ts";
import type { BackgroundView } from "../../keeper/protocol/background.ts";
import type { SessionView } from "../../sessions/session.ts";

/** Milliseconds since 1970. */
export const time = z.number().describe("ms since 1970");

const processShape = z
  .object({
    pid: z.int(),
    ppid: z.int(),
    state: z.string().describe("letter of /proc/<pid>/stat"),
    rssBytes: z.int(),
    startedAt: time,
    command: z.string(),
  })
  .meta({ id: "Process", title: "One process of a run, as the kernel shows it; zombies are never listed" });
processShape satisfies z.ZodType<ProcessView>;

const backgroundShape = z
  .object({
    request: z.string().nullable().describe("the caller's own name for the start, on a node"),
    outputBytes: z.int().describe("printed so far"),
    lastOutputAt: time.nullable(),
    lastInputAt: time.nullable(),
    lastViewedAt: time.nullable().describe("ms since 1970 at which somebody was attached last"),
    onFrontLoss: z.enum(["keep", "kill"]),
    keepMs: z.int().describe("how long it lives on without any front, in ms"),
    size: z.object({ columns: z.int(), rows: z.int() }).nullable().describe("of a terminal"),
    growing: z.string().nullable().describe("set when its number of processes keeps growing: which command, how often"),
  })
  .meta({ id: "Background", title: "What a live background run also shows" });
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
    pid: z.int().nullable().describe("of the leader"),
    startedAt: time,
    endedAt: time.nullable().describe("ms since 1970 at which the tree was proven empty"),
    leaderEndedAt: time.nullable(),
    command: z.string(),
    cwd: z.string().nullable(),
    background: backgroundShape.nullable().describe("null for an MCP run, and for one that has ended"),
    endReason: z.enum(endReasons).nullable(),
    exitCode: z.int().nullable(),
    signal: z.string().nullable(),
    survivors: z.array(processShape).describe("processes that could not be ended"),
    processes: z.array(processShape),
  })
  .meta({ id: "Run", title: "One process tree that was started for one owner" });
runShape satisfies z.ZodType<RunView>;

export const sessionShape = z
  .object({
    id: z.string(),
    kind: z.enum(["mcp", "ws", "stdio"]).describe("how its client speaks"),
    client: z.object({ name: z.string(), version: z.string() }),
    parentId: z.string().nullable(),
    createdAt: time,
    lastSeenAt: time,
    leaseMs: z.int().describe("how long it lives on after its client was last present"),
    present: z.boolean().describe("a request, a stream or a socket of its client is open"),
    server: z.string().nullable().describe("the one server it is on"),
    runs: z.array(z.string()).describe("ids of the runs that the session owns"),
  })
  .meta({ id: "Session", title: "One client's stay" });
sessionShape satisfies z.ZodType<SessionView>;

export const crashShape = z
  .object({
    who: z.enum(["front", "guardian", "keeper"]),
    epoch: z.int().describe("of the keeper in whose life it happened"),
    at: time.describe("when it was noticed; for a keeper its last sign; milliseconds since 1970"),
    pid: z.int(),
    why: z
      .enum(["died", "stuck", "threw", "vanished", "machine-restarted"])
      .describe("died: see exitCode and signal; stuck: its loop did not turn; vanished: no clean stop"),
    detail: z.string().nullable().describe("more about why, in words"),
    exitCode: z.int().nullable(),
    signal: z.string().nullable(),
    lastMethod: z.string().nullable().describe("what it last said that it began"),
    downMs: z.number().nullable().describe("until another front served; null: none did yet, or no front"),
    file: z.string().describe("holds the end of its stderr"),
  })
  .meta({ id: "Crash", title: "One death of the front, the guardian or a keeper" });
crashShape satisfies z.ZodType<CrashView>;
