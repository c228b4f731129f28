/** `holdfast nodes`: the nodes of this gateway, and commands on them. */
import { networkInterfaces } from "node:os";
import { systemClock } from "../clock.ts";
import { GatewayClient } from "../client/rpc.ts";
import { HoldfastError } from "../errors.ts";
import type { ResultOf } from "../protocol/api/index.ts";
import type { CommandContext } from "./context.ts";
import { describeBackground } from "./describe-run.ts";
import { exec, refuseUnreadable, type ExecOptions } from "./exec.ts";
import { openCallerSession } from "./caller-session.ts";
import { count, duration, labelled, printJson, printLines, table, time } from "./print.ts";
import { parseExpiry } from "./tokens.ts";

type Node = ResultOf<"node.list">[number];

export interface InviteOptions {
  name?: string;
  expires: string;
  host?: string;
  port?: number;
}

export type RunOptions = Pick<ExecOptions, "pty" | "cwd" | "env" | "timeout">;

export async function listNodes(context: CommandContext, which: "all" | "pending"): Promise<number> {
  const nodes = await new GatewayClient(context).call(which === "all" ? "node.list" : "node.pending", {});
  if (context.json) printJson(nodes);
  else if (nodes.length === 0) printLines([which === "all" ? noNodes : "no node waits to be approved"]);
  else printLines(nodeTable(nodes));
  return 0;
}

export async function describeNode(context: CommandContext, word: string): Promise<number> {
  const { node, runs } = await new GatewayClient(context).call("node.describe", { node: word });
  if (context.json) printJson({ node, runs });
  else printLines([...describe(node), ...runs.map((run) => `  ${describeBackground(run)}`)]);
  return 0;
}

export async function approveNode(context: CommandContext, word: string, name: string | undefined): Promise<number> {
  const named = name === undefined ? {} : { name };
  const node = await new GatewayClient(context).call("node.approve", { node: word, ...named });
  return tell(context, node, () => `${node.name} is approved`);
}

export async function decideNode(context: CommandContext, verb: "reject" | "revoke", word: string): Promise<number> {
  const node = await new GatewayClient(context).call(`node.${verb}`, { node: word });
  return tell(context, node, ({ name }) => `${name} is ${node.state}`);
}

export async function forgetNode(context: CommandContext, word: string): Promise<number> {
  const node = await new GatewayClient(context).call("node.forget", { node: word });
  return tell(context, node, ({ name }) => `${name} is forgotten`);
}

export async function renameNode(context: CommandContext, word: string, name: string): Promise<number> {
  const node = await new GatewayClient(context).call("node.rename", { node: word, name });
  return tell(context, node, () => `${node.id} is called ${node.name} now`);
}

/** Prints only the line on stdout; notes go to stderr. */
export async function inviteNode(context: CommandContext, options: InviteOptions): Promise<number> {
  const now = systemClock.now();
  const validMs = parseExpiry(options.expires, now) - now;
  const named = options.name === undefined ? {} : { name: options.name };
  const answer = await new GatewayClient(context).call("node.invite", { validMs, ...named });
  const { invite, expiresAt, fingerprint, urls } = answer;
  const { hostname, port } = new URL(urls[0] ?? "");
  const host = options.host ?? reachable(hostname.replace(/^\[(.*)\]$/, "$1"));
  const words = ["holdfast node run", `--host ${host}`, `--port ${options.port ?? port}`, `--invite ${invite}`];
  if (fingerprint !== "") words.push(`--fingerprint ${fingerprint}`);
  const line = words.join(" ");
  if (context.json) {
    printJson({ line, host, port: options.port ?? Number(port), invite, fingerprint, expiresAt });
    return 0;
  }
  process.stderr.write(`run this on the machine that is to be a node; it works once, until ${time(expiresAt)}:\n`);
  printLines([line]);
  if (options.host === undefined && isLoopback(host)) process.stderr.write(`${loopbackOnly}\n`);
  return 0;
}

/**
 * The run belongs to a session held by this command. If this process is killed, its socket closes at once and the run ends
 * within 2 s; if the connection is lost otherwise, when the session's lease expires.
 */
export async function runOnNode(
  context: CommandContext,
  node: string,
  argv: string[],
  options: RunOptions,
): Promise<number> {
  refuseUnreadable([...argv, ...options.env, options.cwd ?? ""]);
  await using caller = await openCallerSession(context, "holdfast nodes run");
  const own = { host: node, session: caller.id, caller: caller.id, interrupt: "end", collect: context.json } as const;
  return await exec(context, argv, { ...plain, ...options, ...own });
}

const plain = {
  background: false,
  replace: false,
  onFrontLoss: "keep",
  descendants: "reap",
} as const;

const noNodes = "no node is known; `holdfast nodes invite` prints the line that makes another machine one";
const loopbackOnly =
  'the gateway listens on this machine only: for others add an address to `bind` in the config, e.g. "bind": ["0.0.0.0"]';

function tell(context: CommandContext, node: Node, words: (node: Node) => string): number {
  if (context.json) printJson(node);
  else printLines([words(node)]);
  return 0;
}

function nodeTable(nodes: Node[]): string[] {
  const rows = nodes
    .toSorted((a, b) => (a.name < b.name ? -1 : 1))
    .map((node) => [
      node.name,
      shownState(node),
      node.id.slice(0, 12),
      `${node.about.platform}-${node.about.arch}`,
      node.about.tier,
      String(node.runs),
      node.connected ? "now" : `${duration(systemClock.now() - node.lastSeenAt)} ago`,
    ]);
  return table([["NAME", "STATE", "ID", "SYSTEM", "TIER", "RUNS", "SEEN"], ...rows]);
}

function shownState({ state, connected, waiting, once, silentSince }: Node): string {
  if (silentSince !== null) return `connected, no answer for ${duration(systemClock.now() - silentSince)}`;
  if (state === "approved") return connected ? (once ? "connected, once" : "connected") : "absent";
  return waiting ? `${state}, waiting` : state;
}

function describe(node: Node): string[] {
  const { about, address, connectedAt, roundTripMs } = node;
  const here =
    connectedAt === null
      ? `last seen ${duration(systemClock.now() - node.lastSeenAt)} ago`
      : `connected from ${address} for ${duration(systemClock.now() - connectedAt)}${roundTripMs === null ? "" : `, a beat takes ${roundTripMs.toFixed(1)} ms`}`;
  return [
    `node ${node.name}  ${shownState(node)}`,
    ...labelled([
      ["id", node.id],
      [
        "machine",
        `${about.hostname}, ${about.platform}-${about.arch}, containment ${about.tier}, holdfast ${about.version}`,
      ],
      ["known since", `${time(node.createdAt)}${node.decidedAt === null ? "" : `, decided ${time(node.decidedAt)}`}`],
      ["link", here],
      ["runs", count(node.runs, "live run")],
    ]),
  ];
}

/** A reachable address of a gateway that listens on all addresses of this machine. */
function reachable(host: string): string {
  if (host !== "0.0.0.0" && host !== "::") return host;
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? []);
  const family = host === "::" ? "IPv6" : "IPv4";
  const found =
    addresses.find((one) => !one.internal && one.family === family) ?? addresses.find((one) => !one.internal);
  if (found !== undefined) return found.address;
  throw new HoldfastError("usage", "this machine has no address but loopback; say with --host how it is reached");
}

function isLoopback(host: string): boolean {
  return host === "::1" || host.startsWith("127.");
}
