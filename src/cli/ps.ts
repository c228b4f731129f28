/** `holdfast ps`: the ownership tree, session → run → processes. */
import type { SessionView } from "../protocol/api/session.ts";
import type { ProcessView, RunView } from "../protocol/run.ts";
import { systemClock } from "../clock.ts";
import { GatewayClient } from "../client/rpc.ts";
import type { CommandContext } from "./context.ts";
import { clip, describeOutcome, describeState, describeUse, groupEqual } from "./describe-run.ts";
import { count, duration, megabytes, printJson, printLines } from "./print.ts";

export async function ps(context: CommandContext, options: { all: boolean }): Promise<number> {
  const client = new GatewayClient(context);
  const runs = await client.call("run.list", { all: options.all });
  if (context.json) printJson(runs);
  else printLines(describe(runs, await client.call("session.list", {})));
  return 0;
}

function describe(runs: RunView[], sessions: SessionView[]): string[] {
  const live = runs.filter((run) => run.state !== "exited");
  const ended = runs.filter((run) => run.state === "exited");
  const lines = sessions.flatMap((session) => [
    headline(session),
    ...branches(
      live.filter((run) => run.sessionId === session.id),
      describeRun,
    ),
  ]);
  const known = new Set(sessions.map((session) => session.id));
  const without = live.filter((run) => run.sessionId === null || !known.has(run.sessionId));
  // Commands outside sessions, and runs that outlive their session.
  if (without.length > 0) lines.push("no session", ...branches(without, describeRun));
  if (lines.length === 0) lines.push("nothing runs");
  if (ended.length > 0) lines.push(`ended: ${ended.length}`, ...branches(ended, describeEnded));
  return lines;
}

function headline(session: SessionView): string {
  const { name, version } = session.client;
  const client = [name, version].filter((word) => word !== "").join(" ") || "unnamed client";
  const now = systemClock.now();
  return `session ${session.id}  ${client}  on ${session.server ?? "no single server"}, open for ${duration(now - session.createdAt)}, last seen ${duration(now - session.lastSeenAt)} ago`;
}

/** Draws each item's lines as one branch of a tree. */
function branches<T>(items: T[], draw: (item: T) => string[]): string[] {
  return items.flatMap((item, index) => {
    const isLast = index === items.length - 1;
    const [first = "", ...rest] = draw(item);
    return [`${isLast ? "└─ " : "├─ "}${first}`, ...rest.map((line) => `${isLast ? "   " : "│  "}${line}`)];
  });
}

function describeRun(run: RunView): string[] {
  const { processes } = run;
  const rss = processes.reduce((sum, { rssBytes }) => sum + rssBytes, 0);
  const figures = `${count(processes.length, "process", "processes")}, ${megabytes(rss)}, ${duration(systemClock.now() - run.startedAt)}`;
  const left =
    run.survivors.length === 0 ? "" : `  CANNOT BE ENDED: pid ${run.survivors.map(({ pid }) => pid).join(", ")}`;
  const scope = `${run.scopeKey === null ? "" : `  scope ${run.scopeKey}`}${run.host === "local" ? "" : `  on ${run.host}`}`;
  const use = run.background === null ? "" : `, ${describeUse(run)}`;
  const head = `run ${run.id}  ${run.server ?? run.kind}${scope}  ${describeState(run)}  ${figures}${use}${left}`;
  return [head, ...processTree(processes)];
}

/** Children under their parents; processes without a parent in the run, such as adopted helpers, are at the top. */
function processTree(processes: ProcessView[]): string[] {
  const pids = new Set(processes.map(({ pid }) => pid));
  const childrenOf = (pid: number) => processes.filter(({ ppid }) => ppid === pid);
  const group = (level: ProcessView[]) => groupEqual(level, (pid) => childrenOf(pid).length > 0);
  const draw = (equal: ProcessView[]): string[] => {
    const [one] = equal;
    if (one === undefined) return [];
    const rss = megabytes(equal.reduce((sum, { rssBytes }) => sum + rssBytes, 0));
    const oldest = duration(systemClock.now() - Math.min(...equal.map(({ startedAt }) => startedAt)));
    const who =
      equal.length === 1 ? `${one.pid}  ${one.state}` : `${equal.length} × (${equal.map(({ pid }) => pid).join(" ")})`;
    return [`${who}  ${rss}  ${oldest}  ${clip(one.command)}`, ...branches(group(childrenOf(one.pid)), draw)];
  };
  return branches(group(processes.filter(({ ppid }) => !pids.has(ppid))), draw);
}

function describeEnded(run: RunView): string[] {
  const lived = run.endedAt === null ? "" : `  after ${duration(run.endedAt - run.startedAt)}`;
  return [`run ${run.id}  ${run.server ?? run.kind}  ${describeOutcome(run)}${lived}  ${clip(run.command)}`];
}
