/** `holdfast mcp reload`, and the same on behalf of every command that changes the config of a running gateway. */
import { resolve } from "node:path";
import { GatewayClient } from "../client/rpc.ts";
import { takeBack, writeOwnConfig, type OwnConfig } from "../config/clients/own-config.ts";
import type { RawServer } from "../config/clients/import.ts";
import { checkConfig, servedName } from "../config/load.ts";
import { plainText } from "../plain-text.ts";
import { requirePlatform } from "../platform/index.ts";
import { asHoldfastError, HoldfastError } from "../errors.ts";
import type { ConfigChange } from "../keeper/protocol/messages.ts";
import type { CommandContext } from "./context.ts";
import { count, printJson, printLines } from "./print.ts";
import { findKeeper } from "./running-keeper.ts";

export async function mcpReload(context: CommandContext): Promise<number> {
  const change = await new GatewayClient(context).call("mcp.reload", {});
  if (context.json) printJson(change);
  else printLines(describeChange(change));
  return 0;
}

export function describeChange(change: ConfigChange): string[] {
  const { added, removed, changed, unchanged, needsRestart, unavailable } = change;
  const parts = Object.entries({ added, removed, changed }).filter(([, names]) => names.length > 0);
  const words = [
    ...parts.map(([what, names]) => `${what}: ${names.join(", ")}`),
    `${count(unchanged.length, "server")} as before`,
  ];
  const waiting = `needs \`holdfast restart --all\`: ${needsRestart.join(", ")}`;
  const lacking = unavailable.map(({ name, problem }) => `unavailable: ${name}: ${problem}`);
  return [words.join("; "), ...lacking, ...(needsRestart.length === 0 ? [] : [waiting])];
}

/** What is left to people on a system that holds no process trees. */
export const whatWorks =
  "what works here: `holdfast connect` prints how a client reaches a gateway on a Linux machine, and every command takes its --url";

/** Throws where no gateway can run: servers that are written into its config would never start. */
export function requireHere({ platform }: CommandContext): void {
  try {
    requirePlatform(platform);
  } catch (cause) {
    const { code, message } = asHoldfastError(cause);
    throw new HoldfastError(code, `${message}; nothing was written; ${whatWorks}`, { cause });
  }
}

/**
 * Writes the config; a gateway that runs on this state directory and reads that file takes it at once. One that refuses it
 * has the file taken back, and why is thrown. Undefined: there is no such gateway, or it could not be told, which is said.
 */
export async function writeAndReload(
  context: CommandContext,
  own: OwnConfig,
  text: string,
): Promise<ConfigChange | undefined> {
  const keeper = findKeeper(context.state);
  writeOwnConfig(own, text);
  if (keeper === undefined || (keeper.config ?? resolve(context.state, "holdfast.json")) !== own.file) return undefined;
  try {
    // This gateway and its own token, whatever others the command line and the environment name.
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

/** On stderr, of servers that were just written: what is missing to start them, as the gateway sees it, or else as this shell does. */
export function warnOfLacking(
  file: string,
  text: string,
  written: readonly [string, RawServer | undefined][],
  reloaded: ConfigChange | undefined,
): void {
  const config = checkConfig(file, text);
  for (const [name, server] of written) {
    if (server === undefined) continue;
    const served = servedName(config, name);
    if (served !== name)
      process.stderr.write(
        `holdfast: ${JSON.stringify(name)} is served as ${served}: /mcp/${served}, ${served}__<tool>\n`,
      );
    const seen = reloaded?.unavailable.find((one) => one.name === served)?.problem;
    const problem = reloaded === undefined ? config.unavailable[served]?.problem : seen;
    if (problem !== undefined) process.stderr.write(`holdfast: ${name} cannot be started yet: ${problem}\n`);
  }
}
