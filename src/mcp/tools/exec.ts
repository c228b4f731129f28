/** The tool `exec`: a command or terminal for an agent, with OpenClaw's parameter names. */
import { z } from "zod";
import type { RunView } from "../../protocol/run.ts";
import { describeIssues, plainIssue } from "../../plain-issues.ts";
import { asHoldfastError } from "../../errors.ts";
import type { RunService } from "../../runs/service.ts";
import { errorResult, textResult, type OwnTool, type ToolCaller, type ToolResult } from "./tool.ts";

/** A shorter command is answered as a whole. */
const yieldMsDefault = 10_000;
const timeoutSecondsDefault = 1800;
/** Output in one answer; `process` returns the rest. */
const answerBytesMax = 64 * 1024;

const seconds = z.number().min(0).max(2_000_000);
const parameters = z.strictObject({
  command: z.string().min(1).describe("Shell command to run"),
  workdir: z.string().optional().describe("Directory to run it in; absolute"),
  env: z.record(z.string(), z.string()).optional().describe("Variables to add"),
  yieldMs: z
    .int()
    .min(0)
    .max(600_000)
    .optional()
    .describe("Milliseconds to wait for its end before it goes on in the background (default 10000)"),
  background: z.boolean().optional().describe("Do not wait"),
  timeout: seconds.optional().describe("Seconds after which it is ended (default 1800; 0 = never)"),
  timeoutSeconds: seconds.optional().describe("The same"),
  pty: z.boolean().optional().describe("Run in a terminal, for programs that need one"),
});

export function execTool(runs: RunService): OwnTool {
  return {
    name: "exec",
    description:
      "Run a shell command. What takes longer than yieldMs goes on in the background: use `process` with its sessionId. It ends with your session.",
    inputSchema: z.toJSONSchema(parameters),
    async call(args, caller) {
      const checked = parameters.safeParse(args ?? {}, { error: plainIssue });
      if (!checked.success) return errorResult(describeIssues(checked.error.issues).join("; "));
      try {
        return await perform(runs, checked.data, caller);
      } catch (thrown) {
        const { code, message } = asHoldfastError(thrown);
        return errorResult(message, { status: "failed", code });
      }
    },
  };
}

async function perform(runs: RunService, asked: z.output<typeof parameters>, caller: ToolCaller): Promise<ToolResult> {
  const { command, workdir, env, background = false, pty = false, timeout, timeoutSeconds } = asked;
  const start = {
    kind: pty ? ("pty" as const) : ("exec" as const),
    command,
    ...(workdir === undefined ? {} : { cwd: workdir }),
    ...(env === undefined ? {} : { env }),
    timeoutMs: Math.round((timeoutSeconds ?? timeout ?? timeoutSecondsDefault) * 1000),
  };
  const run = await runs.start(start, { session: caller.session });
  const waitMs = background ? 0 : (asked.yieldMs ?? yieldMsDefault);
  const gaveUp = Promise.withResolvers<"gave-up">();
  caller.signal.addEventListener("abort", () => gaveUp.resolve("gave-up"), { once: true });
  if (caller.signal.aborted) gaveUp.resolve("gave-up"); // cancelled during the start
  const now = await Promise.race([gaveUp.promise, waitMs === 0 ? run : runs.wait(run.id, waitMs)]);
  if (now === "gave-up") {
    const ended = await runs.end(run.id, "cancelled", false);
    return errorResult(`given up; run ${run.id} is ended`, { status: "failed", sessionId: ended.id });
  }
  const { text } = await runs.readText(run.id, {
    offset: -answerBytesMax,
    bytesMax: answerBytesMax,
    waitMs: 0,
  });
  const output = text.trimEnd();
  if (now.state !== "exited") return stillRuns(now, output);
  return isOver(now, output);
}

function stillRuns(run: RunView, tail: string): ToolResult {
  const { id: sessionId, pid, startedAt, cwd } = run;
  const words = `Command still running (session ${sessionId}, pid ${pid}). Use process (list/poll/log/write/send-keys/submit/paste/kill/clear/remove) for follow-up.`;
  return textResult(tail === "" ? words : `${tail}\n\n${words}`, {
    status: "running",
    sessionId,
    pid,
    startedAt,
    cwd,
    tail,
  });
}

function isOver(run: RunView, output: string): ToolResult {
  const { id: sessionId, exitCode, signal, endReason, startedAt, endedAt, cwd } = run;
  const isGood = exitCode === 0;
  const how = exitCode === null ? `ended: ${endReason} (${signal})` : `exit code ${exitCode}`;
  const text = output === "" ? "(no output)" : output;
  const durationMs = (endedAt ?? startedAt) - startedAt;
  const details = {
    status: isGood ? "completed" : "failed",
    sessionId,
    exitCode,
    signal,
    endReason,
    durationMs,
    cwd,
    aggregated: output,
  };
  return isGood ? textResult(text, details) : errorResult(`${text}\n\n(Command ${how})`, details);
}
