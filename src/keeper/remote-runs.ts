/** The keeper's remote runs: their containers, and the sweeps owed to hosts of earlier lives. */
import type { Sources } from "../random.ts";
import { baseEnvironment } from "../platform/environment.ts";
import type { Container, Epoch } from "../platform/types.ts";
import type { Config, ServerConfig } from "../config/schema.ts";
import { parseHost, readDestination } from "../ssh/destination.ts";
import { RemoteContainer } from "../ssh/remote-container.ts";
import { RemoteHosts, type HostView } from "../ssh/hosts.ts";
import { placeRemote, type RemotePlace } from "../ssh/placement.ts";
import type { Ledger } from "./ledger.ts";
import type { LedgerRow } from "./ledger-row.ts";
import type { Log } from "./log.ts";

/** Variables that ssh needs to find the user's keys and agent. */
const sshVariables = ["SSH_AUTH_SOCK", "KRB5CCNAME", "XDG_RUNTIME_DIR"];

export interface RemoteRunsParts extends Sources {
  config: Config;
  /** Of this machine: ssh runs in its containers. */
  fences: Epoch;
  ownerId: string;
  epoch: number;
  /** Directory of control sockets. */
  directory: string;
  log: Log;
}

interface Placed {
  container: Container;
  host: string;
}

interface RemoteCommandRequest {
  host: string;
  command: string;
  args: readonly string[];
  env: Record<string, string>;
  cwd: string | undefined;
}

export class RemoteRuns {
  readonly #hosts: RemoteHosts;
  readonly #parts: RemoteRunsParts;
  readonly #env: Record<string, string>;

  constructor(parts: RemoteRunsParts) {
    this.#parts = parts;
    const { config, fences, ownerId, epoch, directory, log } = parts;
    this.#env = baseEnvironment();
    for (const name of sshVariables) {
      const value = process.env[name];
      if (value !== undefined) this.#env[name] = value;
    }
    this.#hosts = new RemoteHosts({
      clock: parts.clock,
      random: parts.random,
      fences,
      ownerId,
      epoch,
      env: this.#env,
      directory,
      times: config.ssh,
      termGraceMs: config.stop.termGraceMs,
      runsPerConnection: config.ssh.runsPerConnection,
      idleMs: config.ssh.idleMs,
      only: process.env["HOLDFAST_FAR_TIER"] ?? "",
      log: (entry) => log.info(entry),
    });
  }

  /** The fence and host name of a server's run; local runs get `local` unchanged. */
  place(local: Container, server: ServerConfig): Placed {
    const place = placeRemote(server);
    return place === undefined ? { container: local, host: "local" } : this.#placeAt(local, place);
  }

  /** The same for a background command. */
  placeCommand(local: Container, { host, command, args, env, cwd }: RemoteCommandRequest): Placed {
    if (host === "local") return { container: local, host };
    const there = { argv: [command, ...args] };
    return this.#placeAt(local, { destination: parseHost(host), command: there, remoteEnv: env, localEnv: {}, cwd });
  }

  #placeAt(local: Container, { destination, command, remoteEnv, localEnv, cwd }: RemotePlace): Placed {
    const { termGraceMs } = this.#parts.config.stop;
    const container = new RemoteContainer({
      clock: this.#parts.clock,
      local,
      hosts: this.#hosts,
      request: { destination, command, env: remoteEnv, cwd, termGraceMs },
      sshEnv: { ...this.#env, ...localEnv },
    });
    return { container, host: destination.name };
  }

  /**
   * In the background: a guardian on each remote host of an earlier life ends the remaining runs; only then are their rows
   * closed. Retried until the host answers; `status` shows what is pending.
   */
  sweep(ledger: Ledger, rows: readonly LedgerRow[]): void {
    for (const [host, theirs] of Map.groupBy(rows, (row) => row.host)) {
      const destination = readDestination(host);
      void this.#hosts.proof(destination).then(() => {
        const now = this.#parts.clock.now();
        for (const row of theirs) {
          ledger.ended({
            ...row,
            endedAt: now,
            leaderEndedAt: row.leaderEndedAt ?? now,
            endReason: row.endReason ?? "keeper-lost",
            exitCode: null,
            signal: null,
          });
        }
        this.#parts.log.info({ event: "host.swept", host, runs: theirs.map(({ id }) => id) });
      });
    }
  }

  /** Whether a container holds a connection instead of a run. */
  holds(id: string): boolean {
    return this.#hosts.holds(id);
  }

  views(): HostView[] {
    return this.#hosts.views();
  }

  /** The keeper is ending: stop waiting for unresponsive hosts. */
  stopConnecting(): void {
    this.#hosts.stopConnecting();
  }

  /** Ends every connection, after all runs. */
  close(): Promise<void> {
    return this.#hosts.close();
  }
}
