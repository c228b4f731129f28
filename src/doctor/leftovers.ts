/**
 * Leftovers that users of other gateways report, as counts with pids. A name proves nothing, so these are never ended.
 */
import type { Look } from "../platform/look.ts";
import { parentageOf } from "./parentage.ts";

export interface Leftover {
  what: string;
  pids: number[];
  /** Of these, re-parented: their starter is gone. */
  reparented: number;
  rssBytes: number;
}

const gateway = /(?:^|[/\s])(?:openclaw|clawdbot|moltbot)(?:[/\s.]|$)/i;
const ourselves = /(?:^|\/)holdfast$|\/holdfast\/(?:dist|lib|src)\/main\.[jt]s$/;
const isNodeRun = (words: readonly string[]) =>
  words.some((word, at) => word === "node" && words[at + 1] === "run" && !ourselves.test(words[at - 1] ?? ""));

const kinds: [what: string, test: (words: readonly string[], command: string) => boolean][] = [
  ["`node run` of an agent gateway", isNodeRun],
  ["relay helpers of OpenClaw", (_, command) => gateway.test(command) && /\brelay\b/i.test(command)],
  ["anchor helpers of OpenClaw", (_, command) => gateway.test(command) && /\banchor\b/i.test(command)],
  [
    "stdio bridges (supergateway, mcp-proxy, mcp-remote)",
    (_, command) => /(?:^|[/\s@])(?:supergateway|mcp-proxy|mcp-remote)(?:[/\s@]|$)/.test(command),
  ],
];

export function findLeftovers(look: Look): Leftover[] {
  const found = new Map<string, Leftover>();
  for (const seen of look.processes.values()) {
    const words = look.wordsOf(seen.pid);
    const kind = kinds.find(([, test]) => test(words, look.commandOf(seen.pid)));
    if (kind === undefined) continue;
    const what = kind[0];
    const one = found.get(what) ?? { what, pids: [], reparented: 0, rssBytes: 0 };
    found.set(what, one);
    one.pids.push(seen.pid);
    one.rssBytes += seen.rssBytes;
    if (parentageOf(look, seen).kind === "reparented") one.reparented += 1;
  }
  return [...found.values()];
}
