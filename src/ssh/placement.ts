/** Which servers of the config run on a far side, and what is to be run there. */
import { basename } from "node:path";
import { parseHost, parseSshArguments, type Destination, type RemoteCommand } from "./destination.ts";

export interface Placeable {
  command: string;
  args: readonly string[];
  env: Record<string, string>;
  cwd?: string | undefined;
  host: string;
  sshGuard: boolean;
}

export interface RemotePlace {
  destination: Destination;
  command: RemoteCommand;
  /** Set over there. */
  remoteEnv: Record<string, string>;
  /** For ssh itself, here. */
  localEnv: Record<string, string>;
  cwd: string | undefined;
}

/** Undefined = it runs here. */
export function placeRemote(server: Placeable): RemotePlace | undefined {
  const { command, args, env, cwd, host } = server;
  if (host !== "local") {
    return { destination: parseHost(host), command: { argv: [command, ...args] }, remoteEnv: env, localEnv: {}, cwd };
  }
  if (basename(command) !== "ssh" || !server.sshGuard) return undefined;
  const parsed = parseSshArguments(args);
  if (parsed === undefined) return undefined;
  // As ssh itself would do it: the environment of the config is the local ssh's, and the login shell reads the line.
  return {
    destination: parsed.destination,
    command: { line: parsed.line },
    remoteEnv: {},
    localEnv: env,
    cwd: undefined,
  };
}
