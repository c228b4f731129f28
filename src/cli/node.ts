/** `holdfast node run`: this process becomes the keeper of a node and stays in the foreground; its front dials the gateway. */
import { statSync } from "node:fs";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { nodeNameShape } from "../protocol/node/messages.ts";
import { systemClock } from "../clock.ts";
import { keeperSources } from "../keeper/own-process.ts";
import { systemRandom } from "../random.ts";
import { loadConfig } from "../config/load.ts";
import { findProgram, pathDefault } from "../platform/program.ts";
import type { Config } from "../config/schema.ts";
import { enterDelegatedScope } from "../platform/become.ts";
import { requirePlatform } from "../platform/index.ts";
import { HoldfastError } from "../errors.ts";
import { Keeper } from "../keeper/keeper.ts";
import { LiveConfig, type ConfigRead } from "../keeper/live-config.ts";
import type { NodeProgress, NodeSettings } from "../protocol/keeper/node.ts";
import { openStateDirectory, type StatePaths } from "../keeper/state-directory.ts";
import { nodeEntry } from "../nodes/entry.ts";
import { NodeKey } from "../nodes/node/key.ts";
import { forgetGateway } from "../nodes/node/pin.ts";
import { findConfig } from "./gateway.ts";
import { requiredTier } from "../platform/containment.ts";
import { conclude, exitSoon, listenForSignals, sayTier, tierOf } from "./keeper-process.ts";
import { plainLine } from "../plain-text.ts";
import { ConsentPrompt } from "./prompt.ts";

export interface NodeOptions {
  state: string;
  config: string | undefined;
  json: boolean;
  host: string;
  port: number;
  name?: string | undefined;
  fingerprint?: string | undefined;
  invite?: string | undefined;
  once: boolean;
  allowCommand?: string[] | undefined;
  allowDirectory?: string[] | undefined;
  ask?: "off" | "on-miss" | undefined;
  leaseMax?: number | undefined;
  forgetGateway: boolean;
  /** HOLDFAST_TIER: take this tier or fail. */
  tier?: string | undefined;
}

const leaseMsMin = 500;
/** Time to report the last run to the gateway, on top of the graces of the stop. */
const lastReportMs = 3000;

/** Runs until the node ends; returns the exit code: with `once` that of the run. */
export async function node(options: NodeOptions): Promise<number> {
  requirePlatform();
  const fingerprint = readFingerprint(options.fingerprint);
  const name = readName(options.name);
  checkLists(options);
  const live = new LiveConfig(() => nodeConfig(options));
  const { config } = live;
  if (options.tier === undefined) enterDelegatedScope();
  const paths = openStateDirectory(options.state);
  const print = printer(options.json);
  const settings = makeSettings(options, config, paths, { fingerprint, name });
  using prompt = new ConsentPrompt(config.node.askMs);
  const keeper = new Keeper({
    sources: keeperSources,
    state: options.state,
    live,
    tier: tierOf(options.tier) ?? requiredTier(config.containment),
    node: {
      entry: nodeEntry,
      settings,
      onProgress: print,
      askPerson: config.node.ask === "on-miss" ? (question) => prompt.ask(question) : undefined,
    },
    onListening: (restarts) => welcome(keeper, settings, restarts),
  });
  // The ledger is locked from here on, so a running node cannot lose its gateway.
  if (options.forgetGateway) forgetGateway(paths.front);
  const signals = listenForSignals(keeper);
  try {
    await keeper.start();
    const end = await keeper.ended;
    const code = await conclude(end);
    if (!options.once || end.exitCode !== null) return end.exitCode ?? code;
    return signals.exitCode ?? 1;
  } finally {
    signals[Symbol.dispose]();
    exitSoon();
  }
}

/** The file's `node` section, overridden by the flags: the keeper's rules for starting runs. */
function nodeConfig(options: NodeOptions): ConfigRead {
  const file = findConfig(options.state, options.config);
  const config = loadConfig(file);
  const { node: own, exec, stop } = config;
  own.ask = options.ask ?? own.ask;
  own.leaseMaxMs = readLease(options.leaseMax) ?? own.leaseMaxMs;
  own.allowCommands = options.allowCommand ?? own.allowCommands ?? (own.ask === "on-miss" ? [] : undefined);
  own.allowDirectories = options.allowDirectory?.map((directory) => resolve(directory)) ?? own.allowDirectories;
  const { allowCommands, allowDirectories } = own;
  config.exec = { ...exec, enabled: true, allowCommands, allowDirectories, allowHosts: [] };
  config.mcpServers = {};
  config.connections.drainMs = stop.stdinGraceMs + stop.termGraceMs + lastReportMs;
  return { file, config };
}

/** Checks the lists now, so that a typing error does not surface as a refused run. */
function checkLists({ allowCommand = [], allowDirectory = [] }: NodeOptions): void {
  const path = process.env["PATH"] ?? pathDefault;
  const noProgram = allowCommand.find((command) => findProgram(command, "/", path) === undefined);
  if (noProgram !== undefined)
    throw new HoldfastError("usage", `--allow-command: ${noProgram} is not a program in the PATH; write its full path`);
  const isDirectory = (directory: string) => statSync(directory, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const noDirectory = allowDirectory.find((directory) => !isDirectory(directory));
  if (noDirectory !== undefined)
    throw new HoldfastError(
      "usage",
      `--allow-directory: ${noDirectory} is not a directory; make it or correct the path`,
    );
}

function makeSettings(
  options: NodeOptions,
  { node: own }: Config,
  { root }: StatePaths,
  { fingerprint, name }: { fingerprint: string | null; name: string },
): Omit<NodeSettings, "tier"> {
  const keyFile = join(root, "node-key.pem");
  const { host, port, once, invite = null } = options;
  const { connectMs, approvalMs, invocationMs, acknowledgeMs } = own;
  const id = NodeKey.open(keyFile).nodeId;
  const instance = systemRandom.bytes(8).toString("hex");
  const times = { connectMs, approvalMs, invocationMs, acknowledgeMs };
  return { host, port, fingerprint, id, name, invite, once, instance, keyFile, ...times };
}

/** Also accepts the formats of `openssl x509 -fingerprint -sha256` and browsers. */
function readFingerprint(given: string | undefined): string | null {
  if (given === undefined) return null;
  const plain = given
    .replace(/^sha256[:=]/i, "")
    .replaceAll(":", "")
    .toLowerCase();
  if (/^[0-9a-f]{64}$/.test(plain)) return plain;
  throw new HoldfastError(
    "usage",
    `--fingerprint is 64 hex digits (SHA-256 of the certificate), not ${JSON.stringify(given)}`,
  );
}

function readLease(given: number | undefined): number | undefined {
  if (given === undefined || given >= leaseMsMin) return given;
  throw new HoldfastError(
    "usage",
    `--lease-max ${given}: at least ${leaseMsMin} ms; a gateway needs time for its beats`,
  );
}

function readName(given: string | undefined): string {
  const name =
    given ??
    hostname()
      .split(".")[0]
      ?.replaceAll(/[^A-Za-z0-9_-]/g, "-")
      .slice(0, 64) ??
    "";
  if (nodeNameShape.safeParse(name).success && name !== "local") return name;
  const source = given === undefined ? "the machine's name" : "--name";
  const form = "letters, digits, - and _ (at most 64; the first a letter or digit; not `local`)";
  throw new HoldfastError(
    "usage",
    `${source} ${JSON.stringify(name)} is not a name for a node: ${form}; give another with --name`,
  );
}

function welcome(keeper: Keeper, { id, name }: Omit<NodeSettings, "tier">, restarts: number): void {
  if (restarts > 0) return process.stderr.write("front restarted\n") as unknown as void;
  process.stderr.write(`holdfast node ${name}, ${id}\n`);
  sayTier(keeper);
}

/** For people one line each on stderr; with --json one object each on stdout. */
function printer(json: boolean): (progress: NodeProgress) => void {
  if (json)
    return ({ phase, text, data }) =>
      void process.stdout.write(`${JSON.stringify({ ...data, phase, text, at: systemClock.now() })}\n`);
  return ({ text }) => void process.stderr.write(`${plainLine(text)}\n`);
}
