/** Which servers of the config run on a far side, and what is to be run there. */
import { basename } from "node:path";
import { parseHost, parseSshArguments, type Destination, type FarCommand } from "./destination.ts";

export interface Placeable {
  command: string;
  args: readonly string[];
  env: Record<string, string>;
  cwd?: string | undefined;
  host: string;
  sshGuard: boolean;
}

export interface FarPlace {
  destination: Destination;
  command: FarCommand;
  /** Set over there. */
  farEnv: Record<string, string>;
  /** For ssh itself, here. */
  nearEnv: Record<string, string>;
  cwd: string | undefined;
}

/** Undefined = it runs here. */
export function placeFar(server: Placeable): FarPlace | undefined {
  const { command, args, env, cwd, host } = server;
  if (host !== "local") {
    return { destination: parseHost(host), command: { argv: [command, ...args] }, farEnv: env, nearEnv: {}, cwd };
  }
  if (basename(command) !== "ssh" || !server.sshGuard) return undefined;
  const parsed = parseSshArguments(args);
  if (parsed === undefined) return undefined;
  // As ssh itself would do it: the environment of the config is the local ssh's, and the login shell reads the line.
  return {
    destination: parsed.destination,
    command: { line: parsed.line },
    farEnv: {},
    nearEnv: env,
    cwd: undefined,
  };
}
