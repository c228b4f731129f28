/** `holdfast wrap` and `unwrap`: edit a client's config so that its servers cannot outlive it, and undo that. */
import { GatewayClient } from "../client/rpc.ts";
import { isGatewayEntry, replaceByGateway, restoreFromGateway } from "../config/clients/gateway-entry.ts";
import { importServers, planImport, type Imported } from "../config/clients/import.ts";
import { changeServers, readOwnConfig } from "../config/clients/own-config.ts";
import { unwrapDocument } from "../config/clients/unwrap.ts";
import { stdioOf, wrapDocument, type Change } from "../config/clients/wrap.ts";
import { readDocument } from "../config/clients/document.ts";
import { platform } from "../platform/index.ts";
import { asHoldfastError, HoldfastError } from "../errors.ts";
import {
  carryOut,
  openClientFiles,
  originalsOf,
  type ClientFile,
  type Consent,
  type FileChoice,
} from "./client-files.ts";
import type { CommandContext } from "./context.ts";
import { requireHere, warnOfLacking, warnOfRefusal, whatWorks, writeAndReload } from "./config-change.ts";
import { holdfastWords, stdioEntry } from "./own-installation.ts";
import { ownFile } from "./running-keeper.ts";

export interface WrapOptions extends FileChoice, Consent {
  gateway: boolean;
}

export async function wrap(context: CommandContext, options: WrapOptions): Promise<number> {
  const files = openClientFiles(options);
  if (options.dryRun) warnOfRefusal(context);
  if (options.gateway) return wrapByGateway(context, options, files);
  const prefix = holdfastWords();
  const planned = files.map((source) => ({
    source,
    change: named(source, () => wrapDocument(source.document, prefix)),
  }));
  const words = { done: "wrapped", keepBackup: true, json: context.json };
  const checks = { require: () => requireHere(context), before: () => assertHolds(prefix) };
  return carryOut(planned, options, { ...words, ...checks });
}

/** A config whose servers all fail to start is worse than one whose servers leak. */
function assertHolds(prefix: readonly string[]): void {
  try {
    // A minimal command.
    const tried = platform.attempt([...prefix, "run", "--", process.execPath, "--version"]);
    if (tried.code === 0) return;
    const how = tried.refused ?? `it ended with ${tried.signal ?? `exit code ${String(tried.code)}`}`;
    throw new HoldfastError("unsupported_platform", tried.stderr.replace(/^holdfast: /, "") || how);
  } catch (cause) {
    const { code, message } = asHoldfastError(cause);
    throw new HoldfastError(
      code,
      `\`holdfast run\` does not work here, so no server would start; nothing was changed: ${message}; ${whatWorks}`,
      { cause },
    );
  }
}

export async function unwrap(context: CommandContext, options: FileChoice & Consent): Promise<number> {
  const planned = openClientFiles(options).map((source) => ({
    source,
    change: named(source, () => unwrapped(source)),
  }));
  return carryOut(planned, options, { done: "unwrapped", keepBackup: false, json: context.json });
}

/** Removes the gateway's entry first, if there is one, then the prefixes of the restored servers. */
function unwrapped(source: ClientFile): Change {
  const originals = originalsOf(source);
  const restored = restoreFromGateway(source.document, originals);
  if (restored === undefined) return unwrapDocument(source.document, originals);
  const document = readDocument(source.read.file, restored.after, source.paths);
  const rest = unwrapDocument(document, originals);
  if (rest.edits.length === 0) return restored;
  return {
    edits: [{ start: 0, end: source.document.text.length, text: rest.after }],
    after: rest.after,
    findings: [...restored.findings, ...rest.findings.filter(({ state }) => state === "changed")],
  };
}

/** Names the file of a problem. */
function named<T>({ read }: ClientFile, plan: () => T): T {
  try {
    return plan();
  } catch (thrown) {
    if (!(thrown instanceof HoldfastError)) throw thrown;
    throw new HoldfastError(thrown.code, `${read.file}: ${thrown.message}; nothing was changed`, { cause: thrown });
  }
}

async function wrapByGateway(
  context: CommandContext,
  options: WrapOptions,
  files: readonly ClientFile[],
): Promise<number> {
  if (!options.dryRun) {
    requireHere(context);
    await new GatewayClient(context).call("gateway.status", {});
  }
  const own = readOwnConfig(ownFile(context));
  const words = stdioEntry(context);
  const found = files.map((source) => ({
    source,
    servers: importServers(source.document, source.client).filter((one) => isStdio(source, one)),
  }));
  const plan = planImport(
    found.flatMap(({ servers }) => servers),
    own.servers,
  );
  const taken = new Set(plan.all.filter(({ refused }) => refused === undefined).map(({ path }) => path));
  const planned = found.map(({ source, servers }) => {
    const mine = new Set(servers.filter(({ path }) => taken.has(path)).map(({ path }) => path.join("\0")));
    const change = named(source, () =>
      replaceByGateway(source.document, words, (entry) => mine.has(entry.path.join("\0"))),
    );
    const refused = plan.refused.filter(({ path }) => servers.some((one) => one.path === path));
    const findings = [
      ...change.findings,
      ...refused.map(({ name, refused: note = "" }) => ({ name, state: "left" as const, note })),
      ...servers.flatMap(({ name, notes }) => notes.map((note) => ({ name, state: "unchanged" as const, note }))),
    ];
    return { source, change: { ...change, findings } };
  });
  const after = changeServers(own, plan.added);
  return carryOut(planned, options, {
    done: "moved to the gateway",
    keepBackup: true,
    json: context.json,
    // The gateway must have the servers before the client gives them up.
    before: async () => {
      if (plan.added.length === 0) return;
      const reloaded = await writeAndReload(context, own, after);
      warnOfLacking(own.file, after, plan.added, reloaded);
      const what =
        reloaded === undefined
          ? "has them now; `holdfast mcp reload` lets its gateway read it"
          : "has them now, and the gateway too";
      process.stderr.write(`holdfast: ${own.file} ${what}\n`);
    },
  });
}

function isStdio({ document }: ClientFile, { path }: Imported): boolean {
  const entry = document.entries.find((one) => one.path === path);
  return entry !== undefined && !isGatewayEntry(entry) && typeof stdioOf(entry) !== "string";
}
