/** The tool `process`: an agent's background runs, with OpenClaw's action names. */
import { z } from "zod";
import type { RunView } from "../../protocol/run.ts";
import { describeIssues, plainIssue } from "../../plain-issues.ts";
import { asHoldfastError, HoldfastError } from "../../errors.ts";
import type { RunService } from "../../runs/service.ts";
import { errorResult, textResult, type OwnTool, type ToolResult } from "./tool.ts";

const actions = ["list", "poll", "log", "write", "send-keys", "submit", "paste", "kill", "clear", "remove"] as const;
type Action = (typeof actions)[number];

const linesDefault = 200;
const logBytesMax = 256 * 1024;
const pollBytesMax = 64 * 1024;

const parameters = z.strictObject({
  action: z.enum(actions),
  sessionId: z.string().optional().describe("Of the command, as exec and list say it; needed for all but list"),
  data: z.string().optional().describe("write: text to send; paste: text to paste"),
  text: z.string().optional().describe("paste, submit: the text"),
  keys: z.array(z.string()).optional().describe("send-keys: e.g. Enter, C-c, Up, q"),
  hex: z.array(z.string()).optional().describe("send-keys: bytes as pairs of hex digits"),
  literal: z.string().optional().describe("send-keys: text as it is"),
  bracketed: z.boolean().optional().describe("paste: in brackets or not, whatever the program asked for"),
  eof: z.boolean().optional().describe("write: close stdin after it"),
  offset: z.int().optional().describe("log: first line, from 0; the last lines by default"),
  limit: z.int().min(1).max(10_000).optional().describe("log: lines (default 200)"),
  timeout: z.number().min(0).max(60_000).optional().describe("poll: milliseconds to wait for something new"),
  screen: z.boolean().optional().describe("poll: what the terminal shows now, as text"),
});
type Asked = z.output<typeof parameters>;

export function processTool(runs: RunService): OwnTool {
  /** Offset of each run's polls: a poll returns the output since the last one. */
  const polled = new Map<string, number>();
  return {
    name: "process",
    description: `Manage commands that exec left in the background: ${actions.join(", ")}.`,
    inputSchema: z.toJSONSchema(parameters),
    async call(args, caller) {
      const checked = parameters.safeParse(args ?? {}, { error: plainIssue });
      if (!checked.success) return errorResult(describeIssues(checked.error.issues).join("; "));
      const asked = checked.data;
      try {
        const all = await runs.list(true);
        if (polled.size > all.length) forgetOthers(polled, all);
        // An agent sees only the runs of its own session.
        const own = all.filter(({ kind, sessionId }) => kind !== "mcp" && sessionId === caller.session.id);
        if (asked.action === "list") return list(own);
        const run = own.find(({ id }) => id === asked.sessionId);
        if (run === undefined)
          throw new HoldfastError("run_unknown", `no session ${asked.sessionId ?? "named"}; action list shows yours`);
        const result = await operations[asked.action](runs, run, asked, polled);
        if (asked.action === "clear" || asked.action === "remove") polled.delete(run.id);
        return result;
      } catch (thrown) {
        const { code, message } = asHoldfastError(thrown);
        return errorResult(message, { status: "failed", code });
      }
    },
  };
}

type Operation = (runs: RunService, run: RunView, asked: Asked, polled: Map<string, number>) => Promise<ToolResult>;

const operations: Record<Exclude<Action, "list">, Operation> = {
  async poll(runs, { id }, asked, polled) {
    const options = { offset: polled.get(id) ?? 0, bytesMax: pollBytesMax, waitMs: asked.timeout ?? 0 };
    const piece = await runs.readText(id, options);
    polled.set(id, piece.nextOffset);
    const news = piece.text.trimEnd();
    const screen = asked.screen === true ? await runs.screen(piece.run) : undefined;
    const parts = [news === "" ? "(no new output)" : news];
    if (screen !== undefined) parts.push(`Screen:\n${screen.lines.join("\n").trimEnd()}`);
    parts.push(`Process ${stateOf(piece.run)}.`);
    return textResult(parts.join("\n\n"), {
      ...detailsOf(piece.run),
      output: news,
      ...(screen === undefined ? {} : { screen }),
    });
  },
  async log(runs, { id }, { offset, limit = linesDefault }) {
    const { text, run } = await runs.readText(id, {
      offset: -logBytesMax,
      bytesMax: logBytesMax,
      waitMs: 0,
    });
    const lines = text.replace(/\r?\n$/, "").split(/\r?\n/);
    const from = offset ?? Math.max(0, lines.length - limit);
    const shown = lines.slice(from, from + limit).join("\n");
    return textResult(shown === "" ? "(no output)" : shown, {
      ...detailsOf(run),
      offset: from,
      totalLines: lines.length,
    });
  },
  async write(runs, { id }, { data = "", eof = false }) {
    await runs.write(id, Buffer.from(data), eof);
    return textResult(`Wrote ${Buffer.byteLength(data)} bytes to session ${id}${eof ? " and closed its stdin" : ""}.`);
  },
  async "send-keys"(runs, { id }, { keys = [], hex = [], literal = "" }) {
    const bytes = Buffer.from(hex.map(byteOfHex));
    if (keys.length + bytes.length + literal.length === 0)
      throw new HoldfastError("keys_invalid", "send-keys wants keys, hex or literal");
    if (literal !== "") await runs.write(id, Buffer.from(literal));
    if (bytes.length > 0) await runs.write(id, bytes);
    if (keys.length > 0) await runs.sendKeys(id, keys);
    return textResult(`Sent keys to session ${id}.`);
  },
  async submit(runs, { id }, { text, data }) {
    await runs.submit(id, text ?? data ?? "");
    return textResult(`Submitted to session ${id}.`);
  },
  async paste(runs, { id }, { text, data, bracketed }) {
    await runs.paste(id, text ?? data ?? "", bracketed);
    return textResult(`Pasted into session ${id}.`);
  },
  async kill(runs, { id }) {
    return told(await runs.end(id, "cancelled", false));
  },
  async clear(runs, { id }) {
    await runs.remove(id, false);
    return textResult(`Cleared session ${id}.`);
  },
  async remove(runs, { id }) {
    await runs.remove(id, true);
    return textResult(`Removed session ${id}.`);
  },
};

function list(runs: RunView[]): ToolResult {
  const lines = runs.map((run) => `${run.id} ${stateOf(run)} :: ${run.command.slice(0, 120)}`);
  return textResult(lines.length === 0 ? "No running or recent sessions." : lines.join("\n"), {
    sessions: runs.map(detailsOf),
  });
}

function told(run: RunView): ToolResult {
  return textResult(`Session ${run.id} ${stateOf(run)}; nothing of it is left.`, detailsOf(run));
}

function stateOf({ state, exitCode, signal, endReason }: RunView): string {
  if (state !== "exited") return "still running";
  return `ended: ${endReason ?? "exited"}, ${exitCode === null ? `signal ${signal}` : `exit code ${exitCode}`}`;
}

function detailsOf(run: RunView): Record<string, unknown> {
  const { id: sessionId, state, exitCode, signal, endReason, pid, startedAt, endedAt, command, cwd } = run;
  const status = state === "exited" ? (exitCode === 0 ? "completed" : "failed") : "running";
  return { sessionId, status, exitCode, signal, endReason, pid, startedAt, endedAt, command, cwd };
}

/** Drops the offsets of runs that the keeper has forgotten. */
function forgetOthers(polled: Map<string, number>, runs: RunView[]): void {
  const known = new Set(runs.map(({ id }) => id));
  for (const id of polled.keys()) if (!known.has(id)) polled.delete(id);
}

function byteOfHex(text: string): number {
  if (/^[0-9a-f]{2}$/i.test(text)) return Number.parseInt(text, 16);
  throw new HoldfastError("keys_invalid", `hex wants pairs of hex digits, not ${JSON.stringify(text.slice(0, 20))}`);
}
