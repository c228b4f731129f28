/** `holdfast gateway`: this process becomes the keeper and stays in the foreground. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { loadConfig, needsCertificate } from "../config/load.ts";
import { readTls } from "../config/tls.ts";
import { enterDelegatedScope } from "../contain/delegate.ts";
import { requirePlatform } from "../contain/probe.ts";
import { hasTerminal } from "../contain/processes.ts";
import type { TierName } from "../contain/types.ts";
import { asHoldfastError, HoldfastError } from "../errors.ts";
import type { KeeperEnd } from "../keeper/keeper-life.ts";
import { Keeper } from "../keeper/keeper.ts";
import { LiveConfig } from "../keeper/live-config.ts";
import { say } from "../keeper/log.ts";
import { makeOwnCertificate, ownCertificateFiles } from "../keeper/own-certificate.ts";
import { fingerprintOf } from "../nodes/protocol/proof.ts";
import { version } from "../version.ts";
import { describeChange } from "./reload.ts";

export interface GatewayOptions {
  state: string;
  config: string | undefined;
  port?: number | undefined;
  bind?: string[] | undefined;
  tlsCert?: string | undefined;
  tlsKey?: string | undefined;
  /** HOLDFAST_TIER: take this tier or fail. */
  tier?: string | undefined;
}

/** The config that was named, else `<state>/holdfast.json`, else none: then the defaults hold. */
export function findConfig(state: string, named: string | undefined): string | undefined {
  if (named !== undefined) return resolve(named);
  const usual = join(state, "holdfast.json");
  return existsSync(usual) ? usual : undefined;
}

function tierOf(name: string | undefined): TierName | undefined {
  if (name === undefined || name === "") return undefined;
  if (name === "cgroup" || name === "subreaper") return name;
  throw new HoldfastError("usage", `HOLDFAST_TIER is ${name}; it can be cgroup or subreaper`);
}

/** Runs until the gateway ends; returns the exit code. */
export async function gateway(options: GatewayOptions): Promise<number> {
  requirePlatform();
  const live = new LiveConfig(() => {
    // One that was not there at the start may be there by now.
    const file = options.config ?? findConfig(options.state, undefined);
    const config = loadConfig(file, options);
    if (needsCertificate(config)) config.tls = ownCertificateFiles(options.state);
    return { file, config };
  });
  if (options.tier === undefined) enterDelegatedScope();
  if (live.config.tls?.cert === ownCertificateFiles(options.state).cert)
    await makeOwnCertificate(options.state, live.config.bind);
  const keeper = new Keeper({ state: options.state, live, tier: tierOf(options.tier), onListening: welcome });
  const signals = listenForSignals(keeper);
  try {
    await keeper.start();
    const end = await keeper.ended;
    return conclude(end);
  } finally {
    signals[Symbol.dispose]();
  }
}

/**
 * SIGTERM and SIGINT end in order, the second one at once; SIGUSR2 ends everything and starts anew. SIGHUP reads the config
 * anew, but for a gateway on a terminal it says that the terminal is gone, and ends it as well.
 */
function listenForSignals(keeper: Keeper): Disposable {
  let asked = false;
  const stop = (signal: NodeJS.Signals) => {
    if (asked) {
      say("stopping now");
      keeper.hurry();
      return;
    }
    asked = true;
    say(`stopping on ${signal}; once more to skip the graces`);
    void keeper.close("shutdown"); // `ended` tells the outcome
  };
  const again = () => void keeper.close("shutdown", undefined, true); // `ended` tells the outcome
  const stops: NodeJS.Signals[] = hasTerminal(process.pid) ? ["SIGTERM", "SIGINT", "SIGHUP"] : ["SIGTERM", "SIGINT"];
  const reload = () => reloadOnSignal(keeper);
  for (const signal of stops) process.on(signal, stop);
  process.on("SIGUSR2", again);
  if (!stops.includes("SIGHUP")) process.on("SIGHUP", reload);
  return {
    [Symbol.dispose]() {
      for (const signal of stops) process.off(signal, stop);
      process.off("SIGUSR2", again).off("SIGHUP", reload);
    },
  };
}

function reloadOnSignal(keeper: Keeper): void {
  try {
    for (const line of describeChange(keeper.reload())) say(line);
  } catch (thrown) {
    say(`the config is as it was: ${asHoldfastError(thrown).message}`);
  }
}

function welcome(keeper: Keeper, restarts: number): void {
  if (restarts > 0) {
    say(`front restarted, listening on ${keeper.urls.join(" and ")}`);
    return;
  }
  const [url = ""] = keeper.urls;
  say(`holdfast ${version} listens on ${keeper.urls.join(" and ")}`);
  say(`containment: ${keeper.tier}${keeper.refusedTiers.length === 0 ? "" : ` (${keeper.refusedTiers.join("; ")})`}`);
  const { tls } = keeper.config;
  if (tls !== undefined) say(`certificate: SHA-256 ${fingerprintOf(readTls(tls).cert)}`);
  for (const word of keeper.reconciled.words) say(`reconcile: ${word}`);
  const names = Object.entries(keeper.config.mcpServers)
    .filter(([, server]) => server.enabled)
    .map(([name]) => name);
  const [first] = names;
  if (first === undefined) {
    say("no MCP server is configured: add one under mcpServers in the config");
    return;
  }
  say(`servers: ${names.map((name) => `${url}/mcp/${name}`).join("  ")}`);
  say("connect a client:");
  say(
    `  claude mcp add --transport http ${first} ${url}/mcp/${first} --header "Authorization: Bearer $(cat ${keeper.paths.token})"`,
  );
}

function conclude(end: KeeperEnd): number {
  for (const run of end.survivors) {
    for (const { pid, state, command } of run.survivors) {
      say(`could not end pid ${pid} (state ${state}) of run ${run.id}: ${command}`);
    }
  }
  if (end.error !== undefined) throw end.error;
  if (end.survivors.length > 0)
    throw new HoldfastError(
      "survivors",
      "the processes above are left; they may need root or a restart of the machine",
    );
  if (end.again)
    process.execve?.(process.execPath, [process.execPath, ...process.execArgv, ...process.argv.slice(1)], process.env);
  return 0;
}
