/** `holdfast mcp status`, `reload`, `probe NAME` and `refresh [NAME]`. */
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { GatewayClient } from "../client/rpc.ts";
import { systemClock } from "../clock.ts";
import { HoldfastError } from "../errors.ts";
import { statePaths } from "../keeper/state-directory.ts";
import { plainLine, plainText } from "../plain-text.ts";
import type { CommandContext } from "./context.ts";
import { describeChange } from "./config-change.ts";
import { count, duration, printJson, printLines } from "./print.ts";

export async function mcpStatus(context: CommandContext): Promise<number> {
  const servers = await new GatewayClient(context).call("mcp.status", {});
  if (context.json) {
    printJson(servers);
    return 0;
  }
  const lines = servers.flatMap((server) => {
    const { name, kind, share, enabled, breaker, failures, lastFailure, poolHolders, poolRuns } = server;
    const { packages, notices, problem, silentSince } = server;
    if (!enabled) return [`${name}  disabled`];
    if (problem !== null) return [`${name}  unavailable: ${problem}`];
    const pooled = `, pooled: ${count(poolHolders, "session")} on ${count(poolRuns.length, "run")}`;
    const health = breaker === "closed" ? "" : `, ${breaker} after ${count(failures, "failure")}: ${lastFailure ?? ""}`;
    const silence = silentSince === null ? "" : `, no answer for ${duration(systemClock.now() - silentSince)}`;
    const installed = packages.length === 0 ? "" : `, without npx: ${packages.join(" ")}`;
    const first = `${name}  ${kind}${share === "pool" ? pooled : ""}${installed}${health}${silence}`;
    return [first, ...notices.map((notice) => `  ${notice}`)];
  });
  printLines(lines.length === 0 ? ["no MCP servers in the config"] : lines.map(plainLine));
  return 0;
}

export async function mcpReload(context: CommandContext): Promise<number> {
  const change = await new GatewayClient(context).call("mcp.reload", {});
  if (context.json) printJson(change);
  else printLines(describeChange(change));
  return 0;
}

/** Most stderr lines shown of a failed server. */
const stderrLinesMax = 20;

/** The last output of a server's newest ended run; empty for a gateway whose state directory is elsewhere. */
async function lastStderr(context: CommandContext, client: GatewayClient, server: string): Promise<string[]> {
  const runs = await client.call("run.list", { all: true });
  const ended = runs.filter((run) => run.server === server && run.kind === "mcp" && run.endedAt !== null);
  const newest = ended.toSorted((a, b) => b.startedAt - a.startedAt)[0];
  const isOnNode = newest?.id.startsWith("n") === true; // then the node has its output
  if (newest === undefined || (context.url !== undefined && !isOnNode)) return [];
  const text = (isOnNode ? await stderrOnNode(client, newest.id) : stderrHere(context, newest.id)).trimEnd();
  return text === "" ? [] : text.split("\n").slice(-stderrLinesMax);
}

function stderrHere({ state }: CommandContext, run: string): string {
  return readFileSync(join(statePaths(state).runs, `${run}.log`), "utf8");
}

async function stderrOnNode(client: GatewayClient, id: string): Promise<string> {
  const bytesMax = 64 * 1024;
  const { bytes } = await client.call("run.log", { id, stream: "stderr", offset: -bytesMax, bytesMax });
  return Buffer.from(bytes, "base64").toString("utf8");
}

export async function mcpProbe(context: CommandContext, server: string, limitMs: number): Promise<number> {
  const client = new GatewayClient(context);
  const found = await client.call("mcp.probe", { server }, { limitMs }).catch(async (thrown: unknown) => {
    const words = await lastStderr(context, client, server).catch(() => []); // the failure itself is reported
    if (words.length > 0)
      process.stderr.write(`${server} wrote to stderr:\n${words.map((line) => `  ${plainText(line)}\n`).join("")}`);
    if (!(thrown instanceof HoldfastError) || thrown.code !== "answer_late") throw thrown;
    const hint = `mcpServers.${server}.connectionTimeoutMs is its own limit, --timeout this command's`;
    throw new HoldfastError(
      "answer_late",
      `MCP server ${JSON.stringify(server)} has not come up within ${limitMs / 1000} s; it hangs, or waits to be started (${hint}). \`holdfast mcp status\` and \`holdfast ps\` show it`,
      { cause: thrown },
    );
  });
  if (context.json) {
    printJson(found);
    return 0;
  }
  const { serverInfo, protocolVersion, tools, prompts, resources, ms } = found;
  const who = [serverInfo["name"], serverInfo["version"]].filter((word) => typeof word === "string").join(" ");
  const counts = [count(tools.length, "tool"), count(prompts.length, "prompt"), count(resources.length, "resource")];
  printLines(
    [`${who || server}, revision ${protocolVersion}: ${counts.join(", ")} in ${ms} ms`, ...tools].map(plainLine),
  );
  return 0;
}

export async function mcpRefresh(context: CommandContext, server: string | undefined): Promise<number> {
  const refreshed = await new GatewayClient(context).call("mcp.refresh", { server: server ?? null });
  if (context.json) {
    printJson(refreshed);
    return 0;
  }
  const lines = Object.entries(refreshed).map(([name, packages]) =>
    packages.length === 0
      ? `${name}: nothing is installed`
      : `${name}: the next start installs ${packages.join(" ")} again`,
  );
  printLines(lines.length === 0 ? ["no such server has resolveNpx"] : lines);
  return 0;
}
