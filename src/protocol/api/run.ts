/** `run.*`: process trees; all but `run.list` are for the caller's background runs. */
import { z } from "zod";
import { specLimits, waitMsMax } from "../background.ts";
import { method } from "./define.ts";
import { runShape } from "../run.ts";

const id = z.string().min(1).max(128).describe("of the run");
const milliseconds = z.int().min(0).max(2_147_483_647);
const size = { columns: z.int().min(1).max(specLimits.columnsMax), rows: z.int().min(1).max(specLimits.rowsMax) };
const text = z.string().max(specLimits.inputBytesMax);
const waitMs = z.int().min(0).max(waitMsMax).default(0);
const offset = z
  .int()
  .default(0)
  .describe("first byte wanted, counted from the run's first output; negative: from the end");
/** Position of the output; `offset` is larger than requested when earlier bytes are no longer kept. */
const place = {
  run: runShape,
  offset: z.int().describe("of the first byte returned"),
  nextOffset: z.int().describe("where to continue"),
  printed: z.int().describe("bytes printed so far"),
};

const caller = z
  .string()
  .max(128)
  .optional()
  .describe("one of the caller's WebSocket sessions; if its connection is lost, the run ends within 2 s");

const startParams = z.strictObject({
  kind: z.enum(["exec", "pty"]).default("exec"),
  command: z.string().min(1).optional().describe("a line for the shell; or use `argv`"),
  argv: z.array(z.string()).min(1).max(10_000).optional().describe("program and arguments"),
  cwd: z.string().max(4096).optional().describe("absolute; default: the gateway's home directory"),
  host: z
    .string()
    .max(256)
    .default("local")
    .describe("`local`, an `ssh:…` host of `exec.allowHosts`, or a node's name"),
  env: z.record(z.string(), z.string()).default({}).describe("added to the base environment"),
  sessionId: z.string().max(128).optional().describe("one of the caller's sessions, with which the run ends"),
  scopeKey: z.string().min(1).max(256).optional(),
  replaceExistingScope: z.boolean().default(false).describe("first end the runs with the same session and scope key"),
  background: z.boolean().default(true).describe("false: a caller is waiting, see `pace`"),
  caller,
  streams: z
    .enum(["merged", "apart"])
    .default("merged")
    .describe("exec only: stderr merged into stdout, or readable separately"),
  yieldMs: milliseconds.default(0).describe("answer at the end of the run, or after this time"),
  timeoutMs: milliseconds.default(0).describe("of the command; 0 = unlimited"),
  noOutputTimeoutMs: milliseconds.optional().describe("without output, input or a viewer; 0 = never"),
  maxLifetimeMs: milliseconds.default(0).describe("of the whole run; 0 = unlimited"),
  onFrontLoss: z.enum(["keep", "kill"]).default("keep"),
  keepMs: milliseconds.optional().describe("how long it survives without a front"),
  descendants: z
    .enum(["reap", "keep-until-scope-ends"])
    .default("reap")
    .describe("processes that the command leaves behind"),
  columns: size.columns.default(80),
  rows: size.rows.default(24),
  stdin: z.boolean().default(true).describe("false: an exec run gets an empty stdin"),
  limits: z
    .strictObject({
      processesMax: z.int().min(1).optional(),
      memoryBytesMax: z
        .int()
        .min(1024 * 1024)
        .optional(),
    })
    .default({}),
});

const screenShape = z
  .object({
    columns: z.int(),
    rows: z.int(),
    lines: z.array(z.string()).describe("top to bottom"),
    cursor: z.object({ column: z.int(), row: z.int() }).describe("from 0"),
    alternate: z.boolean().describe("the program uses the alternate screen"),
    offset: z.int().describe("output drawn so far"),
  })
  .meta({ id: "Screen", title: "What the terminal shows now" });

export const runApi = {
  "run.list": method({
    summary: "Live runs with their processes; `all` adds ended runs. Other callers' session ids are truncated.",
    scope: "read",
    params: z.strictObject({ all: z.boolean().default(false) }),
    result: z.array(runShape),
    errors: [],
  }),
  "run.start": method({
    summary: "Starts a command or a terminal. After an error nothing was started.",
    scope: "run",
    params: startParams,
    result: runShape,
    errors: [
      "exec_disabled",
      "exec_refused",
      "guardian_down",
      "run_limit",
      "node_unknown",
      "node_absent",
      "node_lost",
      "scope_replaced",
      "session_unknown",
      "spawn_failed",
      "survivors",
    ],
  }),
  "run.log": method({
    summary: "Reads a run's output as bytes; waits up to `waitMs` while there is none at `offset`.",
    scope: "run",
    params: z.strictObject({
      id,
      stream: z.enum(["stdout", "stderr"]).default("stdout").describe("stderr: of runs with separate streams"),
      offset,
      bytesMax: z
        .int()
        .min(1)
        .max(256 * 1024)
        .default(64 * 1024),
      waitMs,
      viewer: z.boolean().default(false).describe("counts as activity"),
      pace: z.boolean().default(false).describe("a foreground run (`background: false`) waits for this reader"),
      caller,
    }),
    result: z.object({ ...place, bytes: z.string().describe("base64") }),
    errors: ["run_unknown", "node_absent", "node_lost"],
  }),
  "run.poll": method({
    summary:
      "A run's state and its new output as text without escape sequences, cut at the end of a character and sequence; `screen` adds what its terminal shows.",
    scope: "run",
    params: z.strictObject({ id, offset, waitMs, screen: z.boolean().default(false) }),
    result: z.object({ ...place, text: z.string(), screen: screenShape.nullable() }),
    errors: ["run_unknown", "node_absent", "node_lost"],
  }),
  "run.write": method({
    summary: "Sends bytes to a run's stdin or terminal.",
    scope: "run",
    params: z.strictObject({
      id,
      data: z.string().max(specLimits.inputBytesMax * 2),
      encoding: z.enum(["text", "base64"]).default("text"),
      end: z.boolean().default(false).describe("close stdin afterwards; send a terminal C-d by `run.sendKeys` instead"),
      at: z
        .int()
        .min(0)
        .optional()
        .describe("offset of the first byte in the run's whole input: duplicates are dropped, gaps refused"),
    }),
    result: z.null(),
    errors: ["run_unknown", "run_ended", "node_lost", "input_full", "input_gap"],
  }),
  "run.sendKeys": method({
    summary: 'Types keys: characters, "Enter", "C-c", "M-x", "Up", "F5" and so on.',
    scope: "run",
    params: z.strictObject({ id, keys: z.array(z.string().min(1).max(64)).min(1).max(1000) }),
    result: z.null(),
    errors: ["run_unknown", "run_ended", "node_lost", "keys_invalid", "input_full"],
  }),
  "run.submit": method({
    summary: "Types a line and Enter.",
    scope: "run",
    params: z.strictObject({ id, text: text.default("") }),
    result: z.null(),
    errors: ["run_unknown", "run_ended", "node_lost", "input_full"],
  }),
  "run.paste": method({
    summary: "Pastes text, bracketed if the program asked for that.",
    scope: "run",
    params: z.strictObject({ id, text, bracketed: z.boolean().optional() }),
    result: z.null(),
    errors: ["run_unknown", "run_ended", "node_lost", "input_full"],
  }),
  "run.resize": method({
    summary: "Resizes a terminal.",
    scope: "run",
    params: z.strictObject({ id, ...size }),
    result: z.null(),
    errors: ["run_unknown", "run_ended", "node_lost"],
  }),
  "run.signal": method({
    summary:
      "Signals every process of a run, or only its command. On Windows SIGTERM, SIGINT and SIGHUP are Ctrl+Break to all; SIGKILL, SIGSTOP and SIGCONT exist, others reach nothing.",
    scope: "run",
    params: z.strictObject({ id, signal: z.string().max(16), to: z.enum(["all", "command"]).default("all") }),
    result: z.null(),
    errors: ["run_unknown", "run_ended", "node_lost"],
  }),
  "run.kill": method({
    summary: "Ends a run and answers when no process is left. `now` skips the grace periods.",
    scope: "run",
    params: z.strictObject({ id, now: z.boolean().default(false) }),
    result: runShape,
    errors: ["run_unknown", "node_lost", "survivors"],
  }),
  "run.clear": method({
    summary: "Forgets an ended run and its output.",
    scope: "run",
    params: z.strictObject({ id }),
    result: z.null(),
    errors: ["run_unknown", "run_alive"],
  }),
  "run.remove": method({
    summary: "Ends a run if necessary, then forgets it and its output.",
    scope: "run",
    params: z.strictObject({ id }),
    result: z.null(),
    errors: ["run_unknown", "node_lost", "survivors"],
  }),
  "run.wait": method({
    summary: "Answers when the whole tree is gone, or after `waitMs`.",
    scope: "run",
    params: z.strictObject({ id, waitMs: z.int().min(0).max(waitMsMax).default(waitMsMax) }),
    result: runShape,
    errors: ["run_unknown", "node_absent", "node_lost"],
  }),
};
