/** `holdfast add`, `remove`, `list`, `import`, `export`: edits the servers of `holdfast.json`. */
import type { ConfigChange } from "../protocol/keeper/front-config.ts";
import { GatewayClient } from "../client/rpc.ts";
import { describeImported, importServers, planImport, type RawServer } from "../config/clients/import.ts";
import { exportServers } from "../config/clients/export.ts";
import { changeServers, readOwnConfig, serverUnknown, type OwnConfig } from "../config/clients/own-config.ts";
import { isWayIn, leadsTo } from "../config/clients/way-in.ts";
import { coverWords } from "../config/clients/secrets.ts";
import type { ClientName } from "../config/clients/places.ts";
import { checkConfig, parseConfig, servedName, writtenName } from "../config/load.ts";
import type { Config } from "../config/schema.ts";
import { parseServer } from "../config/server.ts";
import { HoldfastError } from "../errors.ts";
import { plainText } from "../plain-text.ts";
import { describeIssues } from "../plain-issues.ts";
import type { CommandContext } from "./context.ts";
import { describeChange, requireHere, warnOfLacking, warnOfRefusal, writeAndReload } from "./config-change.ts";
import { openClientFiles, type FileChoice } from "./client-files.ts";
import { ownFile, runningConfig, urlsOf } from "./running-keeper.ts";
import { count, printJson, printLines, table } from "./print.ts";

export interface AddOptions {
  command: string[];
  url?: string;
  /** Transport of the URL; undefined = streamable HTTP. */
  type?: string;
  /** `NAME=VALUE` each. */
  env: string[];
  /** `Name: value` each. */
  header: string[];
  cwd?: string;
}

function usage(message: string): HoldfastError {
  return new HoldfastError("usage", message);
}

/** Splits at the first separator; the value may contain more. */
function pairs(words: readonly string[], separator: string, example: string): Record<string, string> {
  return Object.fromEntries(
    words.map((word) => {
      const at = word.indexOf(separator);
      if (at < 1) throw usage(`add: ${word} is not of the form ${example}`);
      return [word.slice(0, at).trim(), word.slice(at + 1).trimStart()];
    }),
  );
}

export async function addServer(context: CommandContext, name: string, options: AddOptions): Promise<number> {
  const file = ownFile(context);
  const [command, ...args] = options.command;
  const { url, cwd, type } = options;
  if ((command === undefined) === (url === undefined))
    throw usage("add: say either a command after --, or --url (holdfast add NAME -- COMMAND [ARGUMENT]...)");
  if (url === undefined && options.header.length > 0) throw usage("add: --header goes with --url");
  if (url !== undefined && (options.env.length > 0 || cwd !== undefined))
    throw usage("add: --env and --cwd go with a command");
  if (type !== undefined && url === undefined) throw usage("add: --type goes with --url");
  if (url !== undefined && !url.includes("${") && !/^https?:$/.test(URL.parse(url)?.protocol ?? ""))
    throw usage(`add: ${url} is not an http or https URL`);
  const isOwn = isWayIn(options.command) && !options.command.some((word) => word === "--state" || word === "--url");
  if (isOwn || (url !== undefined && leadsTo(url, urlsOf(context.state))))
    throw usage(`add: ${url ?? options.command.join(" ")} leads to this gateway, which cannot be its own server`);
  requireHere(context);
  if (name === "") throw usage("add: a server needs a name");
  const config = readOwnConfig(file);
  if (Object.hasOwn(config.servers, name))
    throw usage(`add: ${file} has a server ${name} already; \`holdfast remove ${name}\` first`);
  const env = pairs(options.env, "=", "NAME=VALUE");
  const headers = pairs(options.header, ":", "'Name: value'");
  const server: RawServer =
    url === undefined
      ? { command, args, ...(options.env.length > 0 ? { env } : {}), ...(cwd === undefined ? {} : { cwd }) }
      : { ...(type === undefined ? {} : { type }), url, ...(options.header.length > 0 ? { headers } : {}) };
  const checked = parseServer(server);
  if ("issues" in checked) throw usage(`add: ${describeIssues(checked.issues).join("; ")}`);
  return change(context, config, [[name, server]], `${file}: added ${name}`);
}

export async function removeServer(context: CommandContext, given: string): Promise<number> {
  const file = ownFile(context);
  const config = readOwnConfig(file);
  const name = Object.hasOwn(config.servers, given) ? given : writtenName(parseConfig(file, config.text), given);
  if (!Object.hasOwn(config.servers, name)) throw serverUnknown(config, name);
  return change(context, config, [[name, undefined]], `${file}: removed ${name}`);
}

/** For programs: the file and the running gateway's reaction; null without a gateway that reads it. */
async function change(
  context: CommandContext,
  config: OwnConfig,
  changes: [string, RawServer | undefined][],
  done: string,
): Promise<number> {
  const after = changeServers(config, changes);
  const reloaded = await writeAndReload(context, config, after);
  const written = warnOfLacking(config.file, after, changes, reloaded);
  if (context.json) printJson({ file: config.file, reloaded: reloaded ?? null });
  else printLines([done, ...acceptance(reloaded, written)]);
  return 0;
}

/** The running gateway's reaction to the change. */
function acceptance(reloaded: ConfigChange | undefined, written: ReadonlySet<string>): string[] {
  if (reloaded === undefined) return [];
  return describeChange(reloaded, written).map((line) => `the gateway took it: ${line}`);
}

/** People see no values of `env` and `headers`, which are often secrets; `json` is the config as written. */
export async function listServers(context: CommandContext): Promise<number> {
  const file = ownFile(context);
  const { servers, text } = readOwnConfig(file);
  if (context.json) {
    printJson(servers);
    return 0;
  }
  const config = checkConfig(file, text);
  const problems = await problemsOf(context, file, config);
  const notes: string[] = [];
  const rows = Object.entries(servers).map(([name, server]) => {
    const served = servedName(config, name);
    const problem = problems.get(served);
    if (served !== name) notes.push(`${name} is served as ${served}`);
    if (problem !== undefined) notes.push(`${name} is unavailable: ${problem}`);
    return [
      name,
      server?.["enabled"] === false ? "disabled" : problem === undefined ? "" : "unavailable",
      ...shown(server),
    ];
  });
  const none = `${file} has no servers; \`holdfast add NAME -- COMMAND\` adds one`;
  printLines([...(rows.length === 0 ? [none] : table(rows)), ...notes]);
  return 0;
}

/** Command or URL, and the names of its variables or headers; the server may be malformed. */
function shown(server: RawServer): string[] {
  if (typeof server !== "object" || server === null) return [JSON.stringify(server), ""];
  const { command, url, args, env, headers } = server;
  const words = [command ?? url ?? "", ...(Array.isArray(args) ? args : [])];
  return [
    coverWords(words.map(String)).join(" "),
    Object.keys({ ...(env as object), ...(headers as object) }).join(","),
  ];
}

/** As the gateway that reads this file sees them, else as this shell does: the environments may differ. */
async function problemsOf(context: CommandContext, file: string, config: Config): Promise<Map<string, string>> {
  const own = new Map(Object.entries(config.unavailable).map(([name, { problem }]) => [name, problem]));
  if (runningConfig(context.state) !== file) return own;
  const asked = new GatewayClient({ state: context.state }).call("mcp.status", {});
  const servers = await asked.catch(() => undefined); // then this shell's view is reported
  if (servers === undefined) return own;
  return new Map(servers.flatMap(({ name, problem }) => (problem === null ? [] : [[name, problem]])));
}

/** 0 when every server was imported or already present, else 1; importable ones are imported either way. */
export async function importFiles(context: CommandContext, choice: FileChoice, dryRun: boolean): Promise<number> {
  const file = ownFile(context);
  if (dryRun) warnOfRefusal(context);
  else requireHere(context);
  const sources = openClientFiles(choice);
  const config = readOwnConfig(file);
  const gateway = urlsOf(context.state);
  const found = sources.map((source) => ({ source, servers: importServers(source.document, source.client, gateway) }));
  const plan = planImport(
    found.flatMap(({ servers }) => servers),
    config.servers,
  );
  const after = changeServers(config, plan.added);
  const reloaded = !dryRun && plan.added.length > 0 ? await writeAndReload(context, config, after) : undefined;
  const written = warnOfLacking(config.file, after, plan.added, reloaded);
  if (context.json) {
    printJson(plan.all.map(({ name, refused, notes, server }) => ({ name, refused, notes, server })));
    return plan.refused.length === 0 ? 0 : 1;
  }
  for (const { source, servers } of found) {
    const all = plan.all.filter(({ path }) => servers.some((one) => one.path === path));
    printLines([source.read.file, ...all.flatMap((one) => describeImported(one, plan.present.includes(one)))]);
    if (hasInputs(source.document.root)) printLines(["  inputs: not taken over; a gateway has no person to ask"]);
  }
  const done = dryRun ? "nothing was written (--dry-run)" : `${file}: ${count(plan.added.length, "server")} added`;
  printLines([
    `${done}, ${plan.present.length} there already, ${plan.refused.length} refused`,
    ...acceptance(reloaded, written),
  ]);
  return plan.refused.length === 0 ? 0 : 1;
}

function hasInputs(root: { kind: string; members?: { key: string }[] }): boolean {
  return root.members?.some(({ key }) => key === "inputs") ?? false;
}

/** Prints the client's file; omissions go to stderr, and an omitted server makes the exit code 1. */
export function exportTo(context: CommandContext, client: ClientName): number {
  const { text, refused, notes } = exportServers(readOwnConfig(ownFile(context)).servers, client);
  process.stdout.write(text);
  for (const word of [...notes, ...refused]) process.stderr.write(`holdfast: ${plainText(word)}\n`);
  return refused.length === 0 ? 0 : 1;
}
