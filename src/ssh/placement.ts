/** Which servers of the config run on a remote host, and the command to run there. */
import { programName } from "../platform/program.ts";
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
  /** Set on the remote host. */
  remoteEnv: Record<string, string>;
  /** For ssh itself, here. */
  localEnv: Record<string, string>;
  cwd: string | undefined;
}

/** Undefined = it runs locally. */
export function placeRemote(server: Placeable): RemotePlace | undefined {
  const { command, args, env, cwd, host } = server;
  if (host !== "local") {
    return { destination: parseHost(host), command: { argv: [command, ...args] }, remoteEnv: env, localEnv: {}, cwd };
  }
  if (programName(command) !== "ssh" || !server.sshGuard) return undefined;
  const parsed = parseSshArguments(args);
  if (parsed === undefined) return undefined;
  // As with plain ssh: the config's environment is for the local ssh, and the login shell reads the line.
  return {
    destination: parsed.destination,
    command: { line: parsed.line },
    remoteEnv: {},
    localEnv: env,
    cwd: undefined,
  };
}
