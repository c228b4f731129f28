/** Many sessions on `/mcp` at once, each with a call to every server, and how many processes that takes. */
import { readFileSync } from "node:fs";
import type { Gateway } from "./gateway.ts";
import { McpClient } from "./mcp-client.ts";
import { fixture } from "./servers.ts";
import { until } from "./until.ts";

/** `count` light servers that note in `file` when they begin and end to start. */
export function countedServers(count: number, file: string, more: object = {}): Record<string, object> {
  const server = { command: "sh", args: [fixture("counted-server.sh"), file], ...more };
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`s${n + 1}`, server]));
}

/** The most that were starting at one time. */
export function startsAtOnce(file: string): number {
  let now = 0;
  let most = 0;
  for (const mark of readFileSync(file, "latin1")) {
    if (mark === "+") most = Math.max(most, ++now);
    else if (mark === "-") now--;
  }
  return most;
}

export async function runsOf(gateway: Gateway): Promise<number> {
  return ((await gateway.rpc("run.list")) as unknown[]).length;
}

export async function sessionsOf(gateway: Gateway): Promise<{ id: string }[]> {
  return (await gateway.rpc("session.list")) as { id: string }[];
}

export async function nothingLeft(gateway: Gateway, boundMs = 20_000): Promise<void> {
  const isEmpty = async () => (await runsOf(gateway)) + (await sessionsOf(gateway)).length === 0;
  await until("no session and no run", isEmpty, { boundMs, everyMs: 50 });
}

/** A client on `/mcp` with one call made to each of so many servers. */
export async function visitor(
  gateway: Gateway,
  servers: number,
  headers: Record<string, string> = {},
): Promise<McpClient> {
  const client = new McpClient(`${gateway.url}/mcp`, gateway.token, 4, headers);
  await client.initialize();
  for (let n = 1; n <= servers; n++) {
    const answer = await client.call(`s${n}__echo`);
    if (answer.error !== undefined) throw new Error(answer.error.message);
  }
  return client;
}

/** Runs `count` times `action`, so many at a time. */
export async function inLanes(count: number, lanes: number, action: (n: number) => Promise<void>): Promise<void> {
  let next = 0;
  const lane = async () => {
    while (next < count) await action(next++);
  };
  await Promise.all(Array.from({ length: lanes }, lane));
}
