/** `run.*`: process trees. All but `run.list` are for background runs (commands and terminals) of the caller's. */
import { z } from "zod";
import { specLimits, waitMsMax } from "../../keeper/protocol/background.ts";
import { method } from "./define.ts";
import { runShape } from "./shapes.ts";

const id = z.string().min(1).max(128).describe("of the run");
const milliseconds = z.int().min(0).max(2_147_483_647);
const size = { columns: z.int().min(1).max(specLimits.columnsMax), rows: z.int().min(1).max(specLimits.rowsMax) };
const text = z.string().max(specLimits.inputBytesMax);
const waitMs = z.int().min(0).max(waitMsMax).default(0);
const offset = z
  .int()
  .default(0)
  .describe("of the first byte wanted, counted from the first one ever printed; negative: so many before the end");
/** Where the piece is; `offset` is larger than asked when what was asked for is not kept any more. */
const place = {
  run: runShape,
  offset: z.int().describe("of the first byte given"),
  nextOffset: z.int().describe("where to go on"),
  printed: z.int().describe("bytes printed by the run so far"),
};

const caller = z
  .string()
  .max(128)
  .optional()
  .describe("a session of the caller's on a WebSocket: when that is gone without its end, the run ends within 2 s");

const startParams = z.strictObject({
  kind: z.enum(["exec", "pty"]).default("exec"),
  command: z.string().min(1).optional().describe("a line for /bin/sh; else `argv`"),
  argv: z.array(z.string()).min(1).max(10_000).optional().describe("program and arguments"),
  cwd: z.string().max(4096).optional().describe("absolute; the gateway's home directory by default"),
  host: z
    .string()
    .max(256)
    .default("local")
    .describe("`local`, `ssh:…` as `exec.allowHosts` of the config names it, or the name of a node"),
  env: z.record(z.string(), z.string()).default({}).describe("added to the clean base"),
  sessionId: z.string().max(128).optional().describe("the run ends with this session of the caller's"),
  scopeKey: z.string().min(1).max(256).optional(),
  replaceExistingScope: z.boolean().default(false).describe("first end what runs under the same session and scope key"),
  background: z.boolean().default(true).describe("false: somebody waits for it, see `pace`"),
  caller,
  streams: z
    .enum(["merged", "apart"])
    .default("merged")
    .describe("of kind exec: stderr into stdout as it comes, or to be read by itself"),
  yieldMs: milliseconds.default(0).describe("answer when the run is over, or after so many ms"),
  timeoutMs: milliseconds.default(0).describe("for the command; 0 = none"),
  noOutputTimeoutMs: milliseconds.optional().describe("without output, input or a viewer; 0 = none"),
  maxLifetimeMs: milliseconds.default(0).describe("for the whole run; 0 = none"),
  onFrontLoss: z.enum(["keep", "kill"]).default("keep"),
  keepMs: milliseconds.optional().describe("how long it lives on without any front"),
  descendants: z.enum(["reap", "keep-until-scope-ends"]).default("reap").describe("what the command leaves behind"),
  columns: size.columns.default(80),
  rows: size.rows.default(24),
  stdin: z.boolean().default(true).describe("false: an `exec` run reads the end of its input at once"),
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
    lines: z.array(z.string()).describe("from top to bottom"),
    cursor: z.object({ column: z.int(), row: z.int() }).describe("from 0"),
    alternate: z.boolean().describe("the program has the whole screen for itself"),
    offset: z.int().describe("what was printed up to here is drawn"),
  })
  .meta({ id: "Screen", title: "What a person would see on the terminal now" });

export const runApi = {
  "run.list": method({
    summary:
      "The live runs with their processes; with `all` the ended ones that are remembered, too. The ids of sessions that are not the caller's are cut short.",
    scope: "read",
    params: z.strictObject({ all: z.boolean().default(false) }),
    result: z.array(runShape),
    errors: [],
  }),
  "run.start": method({
    summary: "Starts a command or a terminal; a refusal has started nothing.",
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
    summary: "A piece of a run's output, as bytes; waits up to `waitMs` when there is nothing at `offset` yet.",
    scope: "run",
    params: z.strictObject({
      id,
      stream: z.enum(["stdout", "stderr"]).default("stdout").describe("stderr: of a run whose streams are apart"),
      offset,
      bytesMax: z
        .int()
        .min(1)
        .max(256 * 1024)
        .default(64 * 1024),
      waitMs,
      viewer: z.boolean().default(false).describe("somebody looks on: that counts as use"),
      pace: z.boolean().default(false).describe("a run in the foreground (`background: false`) waits for this reader"),
      caller,
    }),
    result: z.object({ ...place, bytes: z.string().describe("base64") }),
    errors: ["run_unknown", "node_absent", "node_lost"],
  }),
  "run.poll": method({
    summary:
      "A run's state and its new output as text without escape sequences, cut where a character and a sequence end; with `screen` what its terminal shows.",
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
      end: z
        .boolean()
        .default(false)
        .describe("close stdin after it; a terminal is sent C-d instead, by `run.sendKeys`"),
      at: z
        .int()
        .min(0)
        .optional()
        .describe(
          "offset of the first byte in all of the run's input: what was taken before is dropped, a gap refused",
        ),
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
    summary: "Pastes text, bracketed when the program asked for that.",
    scope: "run",
    params: z.strictObject({ id, text, bracketed: z.boolean().optional() }),
    result: z.null(),
    errors: ["run_unknown", "run_ended", "node_lost", "input_full"],
  }),
  "run.resize": method({
    summary: "Gives a terminal another size.",
    scope: "run",
    params: z.strictObject({ id, ...size }),
    result: z.null(),
    errors: ["run_unknown", "run_ended", "node_lost"],
  }),
  "run.signal": method({
    summary: "Sends a signal to every process of a run, or to its command only.",
    scope: "run",
    params: z.strictObject({ id, signal: z.string().max(16), to: z.enum(["all", "command"]).default("all") }),
    result: z.null(),
    errors: ["run_unknown", "run_ended", "node_lost"],
  }),
  "run.kill": method({
    summary: "Ends a run; answers when nothing of it is left. `now`: without the graces.",
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
    summary: "Ends a run if it lives, then forgets it and its output.",
    scope: "run",
    params: z.strictObject({ id }),
    result: z.null(),
    errors: ["run_unknown", "node_lost", "survivors"],
  }),
  "run.wait": method({
    summary: "Answers when the tree is gone (never on the command's exit alone), or after `waitMs`.",
    scope: "run",
    params: z.strictObject({ id, waitMs: z.int().min(0).max(waitMsMax).default(waitMsMax) }),
    result: runShape,
    errors: ["run_unknown", "node_absent", "node_lost"],
  }),
};
