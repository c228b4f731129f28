/** Changes to `holdfast.json`: a running gateway applies them at once, or refuses them and the file is restored. */
import type { ConfigChange } from "../protocol/keeper/front-config.ts";
import { GatewayClient } from "../client/rpc.ts";
import { takeBack, writeOwnConfig, type OwnConfig } from "../config/clients/own-config.ts";
import type { RawServer } from "../config/clients/import.ts";
import { checkConfig, servedName } from "../config/load.ts";
import { plainText } from "../plain-text.ts";
import { requirePlatform } from "../platform/index.ts";
import { asHoldfastError, HoldfastError } from "../errors.ts";
import type { CommandContext } from "./context.ts";
import { count } from "./print.ts";
import { runningConfig } from "./running-keeper.ts";

/** The gateway's reaction to its config. With `written`, servers that were unavailable before are only counted. */
export function describeChange(change: ConfigChange, written?: ReadonlySet<string>): string[] {
  const { added, removed, changed, unchanged, needsRestart, unavailable } = change;
  const parts = Object.entries({ added, removed, changed }).filter(([, names]) => names.length > 0);
  const words = [
    ...parts.map(([what, names]) => `${what}: ${names.join(", ")}`),
    `${count(unchanged.length, "server")} as before`,
  ];
  const told = written === undefined ? unavailable : []; // `warnOfLacking` has reported the written ones
  const others = unavailable.filter(({ name }) => written?.has(name) === false).length;
  return [
    words.join("; "),
    ...told.map(({ name, problem }) => `unavailable: ${name}: ${problem}`),
    ...(others === 0 ? [] : [`${count(others, "other server")} unavailable; see \`holdfast mcp status\``]),
    ...(needsRestart.length === 0 ? [] : [`needs \`holdfast restart --all\`: ${needsRestart.join(", ")}`]),
  ];
}

/** What still works on a system without containment. */
export const whatWorks =
  "what works here: `holdfast connect` prints how a client reaches a gateway on a Linux machine, and every command takes its --url";

/** Throws where no gateway can run: servers in its config would never start. */
export function requireHere({ platform }: CommandContext): void {
  try {
    requirePlatform(platform);
  } catch (cause) {
    const { code, message } = asHoldfastError(cause);
    throw new HoldfastError(code, `${message}; nothing was written; ${whatWorks}`, { cause });
  }
}

/**
 * Writes the config; a running gateway that uses this state directory and file reloads it at once. If it refuses, restores
 * the file and throws the reason. Undefined: no such gateway, or it could not be told, as stderr then says.
 */
export async function writeAndReload(
  context: CommandContext,
  own: OwnConfig,
  text: string,
): Promise<ConfigChange | undefined> {
  const isRead = runningConfig(context.state) === own.file;
  writeOwnConfig(own, text);
  if (!isRead) return undefined;
  try {
    // This gateway with its own token, regardless of the command line and environment.
    return await new GatewayClient({ state: context.state }).call("mcp.reload", {});
  } catch (thrown) {
    const { code, message } = asHoldfastError(thrown);
    if (code !== "config_invalid" && code !== "config_unreadable") {
      const hint = "`holdfast mcp reload` tells it later";
      process.stderr.write(
        `holdfast: ${own.file} is written, but the running gateway was not told: ${plainText(message)}; ${hint}\n`,
      );
      return undefined;
    }
    takeBack(own, text);
    throw new HoldfastError(code, `${message}; nothing was changed`, { cause: thrown });
  }
}

/**
 * Reports on stderr what the servers just written lack to start, as the gateway sees it, or else as this shell does.
 * Returns the names under which they are served.
 */
export function warnOfLacking(
  file: string,
  text: string,
  written: readonly [string, RawServer | undefined][],
  reloaded: ConfigChange | undefined,
): Set<string> {
  const config = checkConfig(file, text);
  const names = new Set<string>();
  for (const [name, server] of written) {
    if (server === undefined) continue;
    const served = servedName(config, name);
    names.add(served);
    if (served !== name)
      process.stderr.write(
        `holdfast: ${JSON.stringify(name)} is served as ${served}: /mcp/${served}, ${served}__<tool>\n`,
      );
    const seen = reloaded?.unavailable.find((one) => one.name === served)?.problem;
    const problem = reloaded === undefined ? config.unavailable[served]?.problem : seen;
    if (problem !== undefined) process.stderr.write(`holdfast: ${name} cannot be started yet: ${problem}\n`);
  }
  return names;
}
