/** Changes to `holdfast.json`: a running gateway applies them at once, or refuses them and the file is restored. */
import type { ConfigChange } from "../protocol/keeper/front-config.ts";
import { GatewayClient } from "../client/rpc.ts";
import { takeBack, writeOwnConfig, type OwnConfig } from "../config/clients/own-config.ts";
import type { RawServer } from "../config/clients/import.ts";
import { checkConfig, servedName } from "../config/load.ts";
import { plainText } from "../plain-text.ts";
import { viewTiers } from "../doctor/machine.ts";
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

/** What still works on a machine without containment. */
export const whatWorks =
  "what works here: `holdfast connect --url URL` prints how a client reaches a gateway on another machine, and every command takes its --url";

/** Why no server can be started on this machine; undefined where one can. */
function obstacleHere({ platform: system }: CommandContext): HoldfastError | undefined {
  try {
    requirePlatform(system);
  } catch (cause) {
    return asHoldfastError(cause);
  }
  const tiers = viewTiers();
  if (tiers.some(({ isAvailable }) => isAvailable)) return undefined;
  const reasons = tiers.map(({ tier, problem }) => `no ${tier} tier: ${problem}`).join("; ");
  return new HoldfastError("unsupported_platform", `Holdfast has no containment on this machine: ${reasons}`);
}

/** Throws where no server can be started: a config with one would only promise it. */
export function requireHere(context: CommandContext): void {
  const obstacle = obstacleHere(context);
  if (obstacle === undefined) return;
  const { code, message } = obstacle;
  throw new HoldfastError(code, `${message}; nothing was written; ${whatWorks}`, { cause: obstacle });
}

/** For `--dry-run`, which shows the change on every machine: says on stderr that this one would refuse to write it. */
export function warnOfRefusal(context: CommandContext): void {
  const obstacle = obstacleHere(context);
  if (obstacle === undefined) return;
  process.stderr.write(`holdfast: without --dry-run this is refused: ${obstacle.message}; ${whatWorks}\n`);
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
