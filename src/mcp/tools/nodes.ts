/** The tool `nodes`: the other machines, and a command on one of them. */
import { z } from "zod";
import { describeIssues, plainIssue } from "../../plain-issues.ts";
import { asHoldfastError, HoldfastError } from "../../errors.ts";
import type { Nodes } from "../../nodes/gateway/nodes.ts";
import type { NodeView } from "../../protocol/api/node.ts";
import { invoke, type Invoked } from "../../runs/invoke.ts";
import type { RunService } from "../../runs/service.ts";
import { withoutEscapes } from "../../runs/text.ts";
import { errorResult, textResult, type OwnTool, type ToolCaller, type ToolResult } from "./tool.ts";

/** A longer command continues, and ends with the session. */
const waitMsDefault = 60_000;
const timeoutSecondsDefault = 1800;
/** Of each stream, from its end. */
const outputBytesMax = 64 * 1024;

const parameters = z.strictObject({
  action: z
    .enum(["status", "describe", "run"])
    .describe("status: all nodes; describe: one node and its runs; run: a command there"),
  node: z.string().optional().describe("Name or id of the node; needed for all but status"),
  command: z.string().min(1).optional().describe("run: shell command"),
  workdir: z.string().optional().describe("run: directory on the node; absolute"),
  env: z.record(z.string(), z.string()).optional().describe("run: variables to add"),
  stdin: z.string().optional().describe("run: all of its input"),
  timeoutSeconds: z
    .number()
    .min(0)
    .max(2_000_000)
    .optional()
    .describe("run: ended after so long (default 1800; 0 = never)"),
  yieldMs: z.int().min(0).max(600_000).optional().describe("run: milliseconds to wait for its end (default 60000)"),
});
type Asked = z.output<typeof parameters>;

export interface NodesToolParts {
  nodes: Nodes;
  runs: RunService;
}

export function nodesTool({ nodes, runs }: NodesToolParts): OwnTool {
  return {
    name: "nodes",
    description:
      "Run a shell command on another machine that is connected to this gateway (action run), or see which there are (status, describe). A command ends with your session.",
    inputSchema: z.toJSONSchema(parameters),
    async call(args, caller) {
      const checked = parameters.safeParse(args ?? {}, { error: plainIssue });
      if (!checked.success) return errorResult(describeIssues(checked.error.issues).join("; "));
      const asked = checked.data;
      try {
        if (asked.action === "status") return status(nodes.list());
        if (asked.node === undefined) throw new HoldfastError("invalid_params", `${asked.action} needs node`);
        if (asked.action === "describe") return described(nodes.describe(asked.node).node);
        return await run(nodes.nameOf(asked.node), asked, runs, caller);
      } catch (thrown) {
        const { code, message } = asHoldfastError(thrown);
        return errorResult(message, { status: "failed", code });
      }
    },
  };
}

function status(all: NodeView[]): ToolResult {
  const approved = all.filter(({ state }) => state === "approved");
  const lines = approved.map(line);
  return textResult(lines.length === 0 ? "No nodes." : lines.join("\n"), { nodes: approved.map(detailsOf) });
}

function described(node: NodeView): ToolResult {
  return textResult(line(node), detailsOf(node));
}

function line({ name, connected, about, runs }: NodeView): string {
  return `${name}: ${connected ? "connected" : "absent"}, ${about.platform}-${about.arch}, ${runs} live runs`;
}

function detailsOf({ id, name, state, connected, about, lastSeenAt, runs }: NodeView): Record<string, unknown> {
  return { id, name, state, connected, about, lastSeenAt, runs };
}

async function run(host: string, asked: Asked, runs: RunService, caller: ToolCaller): Promise<ToolResult> {
  const { command, workdir, env, stdin } = asked;
  if (command === undefined) throw new HoldfastError("invalid_params", "run needs command");
  const invocation = {
    host,
    command,
    cwd: workdir,
    env,
    input: stdin === undefined ? undefined : Buffer.from(stdin),
    timeoutMs: Math.round((asked.timeoutSeconds ?? timeoutSecondsDefault) * 1000),
    waitMs: asked.yieldMs ?? waitMsDefault,
    outputBytesMax,
    signal: caller.signal,
  };
  const done = await invoke(runs, invocation, { session: caller.session });
  return resultOf(host, done);
}

function resultOf(node: string, { run: ended, stdout, stderr, stdoutBytes, stderrBytes }: Invoked): ToolResult {
  const { id: sessionId, state, exitCode, signal, endReason } = ended;
  const texts = { stdout: textOf(stdout), stderr: textOf(stderr) };
  const isOver = state === "exited";
  const how = !isOver
    ? `still running on ${node} (session ${sessionId}); it ends with your session`
    : exitCode === null
      ? `ended on ${node}: ${endReason ?? "signaled"} (${signal})`
      : `exit code ${exitCode} on ${node}`;
  const isGood = !isOver || exitCode === 0;
  const parts = [
    texts.stdout,
    texts.stderr === "" ? "" : `stderr:\n${texts.stderr}`,
    isOver && isGood ? "" : `(${how})`,
  ];
  const text = parts.filter((part) => part !== "").join("\n\n");
  const shown = { ...texts, stdoutBytes, stderrBytes };
  const details = { status: isOver ? (isGood ? "completed" : "failed") : "running", node, sessionId, exitCode, signal };
  const result = { ...details, endReason, ...shown };
  return isGood ? textResult(text === "" ? "(no output)" : text, result) : errorResult(text, result);
}

function textOf(bytes: Buffer): string {
  return withoutEscapes(bytes).trimEnd();
}
