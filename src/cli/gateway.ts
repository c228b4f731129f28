/** `holdfast gateway`: this process becomes the keeper and stays in the foreground. */
import { existsSync } from "node:fs";
import { join, resolve } from "node:path";
import { systemSources } from "../random.ts";
import { keeperSources } from "../keeper/own-process.ts";
import { loadConfig, needsCertificate } from "../config/load.ts";
import { readTls } from "../config/tls.ts";
import { enterDelegatedScope } from "../platform/become.ts";
import { requirePlatform } from "../platform/index.ts";
import { asHoldfastError } from "../errors.ts";
import { Keeper } from "../keeper/keeper.ts";
import { LiveConfig } from "../keeper/live-config.ts";
import { say } from "../keeper/log.ts";
import { makeOwnCertificate, ownCertificateFiles } from "../keeper/own-certificate.ts";
import { fingerprintOf } from "../protocol/node/proof.ts";
import { requiredTier } from "../platform/containment.ts";
import { conclude, exitSoon, listenForSignals, sayTier, tierOf } from "./keeper-process.ts";
import { version } from "../version.ts";
import { describeChange } from "./config-change.ts";

export interface GatewayOptions {
  state: string;
  config: string | undefined;
  port?: number | undefined;
  bind?: string[] | undefined;
  tlsCert?: string | undefined;
  tlsKey?: string | undefined;
  /** Refuse a config with any unavailable server. */
  strict?: boolean | undefined;
  /** HOLDFAST_TIER: take this tier or fail. */
  tier?: string | undefined;
}

/** The given config, else `<state>/holdfast.json`, else undefined: the defaults apply. */
export function findConfig(state: string, named: string | undefined): string | undefined {
  if (named !== undefined) return resolve(named);
  const usual = join(state, "holdfast.json");
  return existsSync(usual) ? usual : undefined;
}

/** Runs until the gateway ends; returns the exit code. */
export async function gateway(options: GatewayOptions): Promise<number> {
  requirePlatform();
  const live = new LiveConfig(() => {
    // A file missing at the start may exist by now.
    const file = options.config ?? findConfig(options.state, undefined);
    const config = loadConfig(file, options);
    if (needsCertificate(config)) config.tls = ownCertificateFiles(options.state);
    return { file, config };
  });
  if (options.tier === undefined) enterDelegatedScope();
  if (live.config.tls?.cert === ownCertificateFiles(options.state).cert)
    await makeOwnCertificate(options.state, live.config.bind, systemSources);
  const keeper = new Keeper({
    sources: keeperSources,
    state: options.state,
    live,
    tier: tierOf(options.tier) ?? requiredTier(live.config.containment),
    onListening: (restarts) => welcome(keeper, restarts),
  });
  const signals = listenForSignals(keeper, () => reloadOnSignal(keeper));
  try {
    await keeper.start();
    const end = await keeper.ended;
    return await conclude(end);
  } finally {
    signals[Symbol.dispose]();
    exitSoon();
  }
}

/** SIGHUP of a gateway without a terminal. */
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
  const { tls } = keeper.config;
  if (tls !== undefined) say(`certificate: SHA-256 ${fingerprintOf(readTls(tls).cert)}`);
  sayTier(keeper);
  for (const [name, { problem }] of Object.entries(keeper.config.unavailable))
    say(`server ${name} is unavailable: ${problem}`);
  const names = Object.entries(keeper.config.mcpServers)
    .filter(([, server]) => server.enabled)
    .map(([name]) => name);
  const [first] = names;
  if (first === undefined) {
    say(
      Object.keys(keeper.config.unavailable).length > 0
        ? "no MCP server can be used: mend one of those above; it is looked at again by `holdfast mcp status`"
        : "no MCP server is configured: add one under mcpServers in the config",
    );
    return;
  }
  say(`servers: ${names.map((name) => `${url}/mcp/${name}`).join("  ")}`);
  say("connect a client:");
  say(
    `  claude mcp add --transport http ${first} ${url}/mcp/${first} --header "Authorization: Bearer $(cat ${keeper.paths.token})"`,
  );
}
