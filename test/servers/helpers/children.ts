/** Child sessions on three published servers each, as an agent's subagents have them. */
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { inLanes, nothingLeft, runsOf, sessionsOf, startsAtOnce } from "../../helpers/crowd.ts";
import { Gateway } from "../../helpers/gateway.ts";
import { Home } from "../../helpers/home.ts";
import { McpClient } from "../../helpers/mcp-client.ts";
import { fixture } from "../../helpers/servers.ts";
import { bestTier } from "../../helpers/tiers.ts";
import { until } from "../../helpers/until.ts";
import { casesIn } from "./cases.ts";
import { processesNaming, startedBy, type Published } from "./published.ts";

const names = ["everything", "memory", "thinking"] as const;
const lanes = 3;

/** What was seen while the children came and went. */
export interface Childhood {
  seconds: number;
  /** Runs at one time, and how many there could rightly be. */
  most: number;
  bound: number;
  startsAtOnce: number;
  startsMax: number;
  /** Sessions when the last child had been opened: the forgotten ones and the parent. */
  sessions: number;
  /** Processes that name the gateway's home after the parent's end, besides its own. */
  left: string[];
}

/** `count` child sessions, so many at a time; every third is forgotten and left to the end of its parent. */
export async function raise(found: Map<string, Published> | undefined, count: number): Promise<Childhood> {
  await using home = new Home(bestTier());
  const marks = join(home.directory, "marks");
  writeFileSync(marks, "", { mode: 0o666 });
  const startsMax = 2;
  const all = casesIn({ temporary: home.directory, remote: "", page: "" }, undefined);
  const servers = names.map((name) => {
    const { command, args, ...rest } = startedBy("node", found, all[name], home.directory);
    return [name, { ...rest, command: "sh", args: [fixture("counted-start.sh"), marks, command, ...args] }] as const;
  });
  home.configure({ mcpServers: Object.fromEntries(servers), limits: { startsMax } });
  await using gateway = await Gateway.start(home);

  const open = async (headers: Record<string, string>) => {
    const client = new McpClient(`${gateway.url}/mcp`, gateway.token, 4, headers);
    await client.initialize();
    for (const name of names) {
      const { tool, given, says } = all[name];
      const { result, error } = await client.call(`${name}__${tool}`, { ...given }, 60_000);
      if (says?.test(JSON.stringify(result)) !== true) throw new Error(`${name}: ${JSON.stringify(error ?? result)}`);
    }
    return client;
  };

  using parent = await open({});
  let most = 0;
  const began = performance.now();
  await inLanes(count, lanes, async (n) => {
    using child = await open({ "x-holdfast-parent": parent.sessionId ?? "" });
    most = Math.max(most, await runsOf(gateway));
    if (n % 3 !== 0) await child.delete();
  });
  const seconds = (performance.now() - began) / 1000;
  const sessions = (await sessionsOf(gateway)).length;
  await parent.delete();
  await nothingLeft(gateway, 60_000);
  const ours = new Set<number>(Object.values(gateway.pids));
  const others = () => processesNaming(home.directory).filter(({ pid }) => !ours.has(pid));
  // A run is over when its cgroup is empty; the cgroup launcher above it sees its child's end a moment later.
  await until("nothing names it", () => others().length === 0, { boundMs: 5000 }).catch(() => {}); // it is in the answer
  const bound = names.length * (1 + lanes + Math.ceil(count / 3));
  const commands = others().map(({ command }) => command);
  return { seconds, most, bound, startsAtOnce: startsAtOnce(marks), startsMax, sessions, left: commands };
}
