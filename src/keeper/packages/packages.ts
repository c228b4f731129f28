/**
 * `resolveNpx`: servers written as `npx package` run as `node program`. The first start that needs the packages installs them;
 * concurrent starts share that installation, which ends with its last waiter. Unsupported command lines are left to npx, with
 * the reason on record.
 */
import type { LaunchView } from "../../protocol/keeper/messages.ts";
import type { Sources } from "../../random.ts";
import { asHoldfastError, HoldfastError } from "../../errors.ts";
import type { Config, ServerConfig } from "../../config/schema.ts";
import { baseEnvironment, mergeEnvironment } from "../../platform/environment.ts";
import type { ErrorLog } from "../error-log.ts";
import type { Log } from "../log.ts";
import type { Run } from "../run.ts";
import type { Launch } from "../launch.ts";
import { beginInstallation, type Installation } from "./install-run.ts";
import { reasonNearby } from "./nearby.ts";
import { readNpxWords, type NpxRequest } from "./npx-words.ts";
import { findProgram, siblingProgram, type Program } from "./program.ts";
import { PackageStore, type PackageRecord } from "./store.ts";

/** After a failed installation, npx itself is used for this long. */
const failedMs = 60_000;
/** Variables that tell npm where and how to download; install scripts get no others, so no secrets. */
const forNpm = /^(npm_config_.*|https?_proxy|no_proxy|all_proxy|NODE_EXTRA_CA_CERTS|SSL_CERT_(FILE|DIR)|PATH|HOME)$/i;

export interface PackagesParts extends Sources {
  root: string;
  /** Current servers of the config, by name. */
  servers: () => Config["mcpServers"];
  log: Log;
  launch: (launch: Launch) => Promise<Run>;
  makeErrorLog: (id: string) => ErrorLog;
}

interface Waiter {
  sessionId: string;
  server: string;
  leave: (why: HoldfastError) => void;
}

interface Shared {
  installation: Installation;
  done: Promise<void>;
  waiters: Set<Waiter>;
}

/** The replacement for the configured command line. */
export interface Resolved extends Program {
  /** Prepended to PATH, as npx does. */
  path?: string;
}

/** The parameters of an installation. */
interface Order {
  key: string;
  request: NpxRequest;
  npm: string;
  /** Added to the clean base environment. */
  env: Record<string, string>;
}

interface Usable {
  record: PackageRecord;
  resolved: Resolved;
}

export class Packages {
  readonly #parts: PackagesParts;
  readonly #store: PackageStore;
  readonly #shared = new Map<string, Shared>();
  readonly #failures = new Map<string, { until: number; why: string }>();
  readonly #views = new Map<string, LaunchView>();

  constructor(parts: PackagesParts) {
    this.#parts = parts;
    this.#store = new PackageStore(parts.root, parts);
  }

  /** The last launch of each server with `resolveNpx`. */
  views(): Record<string, LaunchView> {
    const servers = this.#parts.servers();
    const isMeant = (name: string) => {
      const server = servers[name];
      return server !== undefined && !("url" in server) && server.resolveNpx;
    };
    return Object.fromEntries([...this.#views].filter(([name]) => isMeant(name)));
  }

  /**
   * Waits for a required installation within the server's start timeout. Throws `server_down` on timeout, `run_ended` when its
   * last waiter has left.
   */
  async resolve(server: string, config: ServerConfig, sessionId: string): Promise<Resolved> {
    const order = planOf(config);
    if ("refused" in order) return this.#leave(server, config, order.refused);
    const reason = reasonNearby(config.cwd ?? process.cwd(), order.env["HOME"] ?? process.env["HOME"], order.request);
    if (reason !== undefined) return this.#leave(server, config, reason);
    this.#store.sweep();
    const { key, request } = order;
    const known = this.#usable(key, config, request);
    if (known?.record.isStale === false) return this.#use(server, known);
    try {
      await this.#wait(order, { server, config, sessionId });
    } catch (thrown) {
      const error = asHoldfastError(thrown);
      if (error.code !== "spawn_failed") throw error;
      if (known === undefined) return this.#leave(server, config, error.message);
      return this.#use(server, known, `${error.message}; what was installed before is used`);
    }
    const fresh = this.#usable(key, config, request);
    return fresh === undefined ? this.#leave(server, config, "what was installed is gone") : this.#use(server, fresh);
  }

  /** The session no longer wants this server. An installation without waiters is ended. */
  abandon(server: string, sessionId: string): void {
    for (const { waiters } of this.#shared.values())
      for (const waiter of waiters)
        if (waiter.server === server && waiter.sessionId === sessionId)
          waiter.leave(new HoldfastError("run_ended", `session ${sessionId} no longer wants ${server}`));
  }

  /**
   * The next start of this server, or of all (null), reinstalls its packages; if that fails it uses the old ones. Returns the
   * packages by server, of those with `resolveNpx`. Throws `server_unknown`.
   */
  refresh(server: string | null): Record<string, string[]> {
    const servers = this.#parts.servers();
    if (server !== null && servers[server] === undefined)
      throw new HoldfastError(
        "server_unknown",
        `no server named ${JSON.stringify(server)} in the config; known: ${Object.keys(servers).join(", ") || "none"}`,
      );
    const refreshed: Record<string, string[]> = {};
    for (const [name, config] of Object.entries(servers)) {
      if ("url" in config || !config.resolveNpx || (server !== null && name !== server)) continue;
      const order = planOf(config);
      refreshed[name] = "refused" in order ? [] : this.#store.markStale(order.key);
      if ("key" in order) this.#failures.delete(order.key);
    }
    return refreshed;
  }

  async #wait(order: Order, wish: { server: string; config: ServerConfig; sessionId: string }): Promise<void> {
    const { key } = order;
    const { server, sessionId } = wish;
    const failure = this.#failures.get(key);
    if (failure !== undefined && failure.until > this.#parts.clock.monotonic())
      throw new HoldfastError("spawn_failed", failure.why);
    let shared = this.#shared.get(key);
    if (shared === undefined) this.#shared.set(key, (shared = this.#install(server, order)));
    const { waiters, installation, done } = shared;
    const left = Promise.withResolvers<never>();
    const waiter: Waiter = { server, sessionId, leave: left.reject };
    waiters.add(waiter);
    const { connectionTimeoutMs: ms } = wish.config;
    const late = () => left.reject(tooLate(server, order.request.packages, ms));
    const timer = ms === 0 ? undefined : this.#parts.clock.after(ms, late);
    try {
      await Promise.race([done, left.promise]);
    } finally {
      timer?.clear();
      waiters.delete(waiter);
      if (waiters.size === 0) {
        // A later start retries.
        if (this.#shared.get(key) === shared) this.#shared.delete(key);
        installation.abandon();
      }
    }
  }

  #install(server: string, { key, request, npm, env }: Order): Shared {
    const { clock, launch, makeErrorLog } = this.#parts;
    const { packages, options } = request;
    const directory = this.#store.begin();
    const whole = mergeEnvironment(baseEnvironment(), env);
    const order = { clock, server, npm, packages, options, directory, env: whole, launch, makeErrorLog };
    const installation = beginInstallation(order);
    const done = this.#finish(key, server, request, directory, installation).finally(() => {
      if (this.#shared.get(key) === shared) this.#shared.delete(key);
      this.#store.discard(directory);
    });
    done.catch(() => {}); // each waiter gets the error
    const shared = { installation, done, waiters: new Set<Waiter>() };
    return shared;
  }

  /** Rejects with `spawn_failed` when the packages are unavailable, with `run_ended` when we ended the installation. */
  async #finish(
    key: string,
    server: string,
    request: NpxRequest,
    directory: string,
    { over }: Installation,
  ): Promise<void> {
    const began = this.#parts.clock.monotonic();
    const failed = (why: string, forMs = failedMs) => {
      const what = `npm could not install ${request.packages.join(" ")}: ${why}`;
      this.#failures.set(key, { until: this.#parts.clock.monotonic() + forMs, why: what });
      return new HoldfastError("spawn_failed", what);
    };
    const { view, said } = await over.catch((cause: unknown) => {
      const error = asHoldfastError(cause);
      throw error.code === "spawn_failed" ? failed(error.message) : error;
    });
    const { endReason, exitCode } = view;
    if (endReason === "cancelled" || endReason === "front-lost" || endReason === "shutdown")
      throw new HoldfastError("run_ended", `the installation was ended (${endReason})`);
    if (endReason !== "exited") throw failed(endReason === "timeout" ? "it took five minutes" : `${endReason}`);
    if (exitCode !== 0) throw failed(`exit code ${exitCode ?? "unknown"}${lastWords(said)}`);
    try {
      findProgram(directory, request, "npx");
      const record = this.#store.commit(key, directory, request.packages);
      this.#failures.delete(key);
      const ms = Math.round(this.#parts.clock.monotonic() - began);
      this.#parts.log.info({ event: "package.installed", server, packages: namesOf(record), ms });
    } catch (thrown) {
      // Retrying would not help.
      throw failed(thrown instanceof Error ? thrown.message : String(thrown), Infinity);
    }
  }

  #usable(key: string, { command }: ServerConfig, request: NpxRequest): Usable | undefined {
    const record = this.#store.find(key);
    if (record === undefined) return undefined;
    const directory = this.#store.directoryOf(record);
    try {
      const program = findProgram(directory, request, command);
      return { record, resolved: { ...program, path: `${directory}/node_modules/.bin` } };
    } catch {
      return undefined; // files were removed from it: reinstall
    }
  }

  #use(server: string, { record, resolved }: Usable, problem: string | null = null): Resolved {
    this.#tell(server, { packages: namesOf(record), installedAt: record.installedAt, problem });
    return resolved;
  }

  #leave(server: string, { command, args }: ServerConfig, problem: string): Resolved {
    this.#tell(server, { packages: [], installedAt: null, problem });
    return { command, args };
  }

  #tell(server: string, view: LaunchView): void {
    const { problem } = view;
    const isNews = problem !== null && this.#views.get(server)?.problem !== problem;
    if (isNews) this.#parts.log.warn({ event: "package.unresolved", server, why: problem });
    this.#views.set(server, view);
  }
}

function planOf({ command, args, env: own }: ServerConfig): Order | { refused: string } {
  const request = readNpxWords(command, args);
  if ("refused" in request) return request;
  const npm = siblingProgram(command, "npm");
  const env = Object.fromEntries(Object.entries(own).filter(([name]) => forNpm.test(name)));
  return { key: PackageStore.keyOf(request, npm, env), request, npm, env };
}

function namesOf({ versions }: PackageRecord): string[] {
  return Object.entries(versions).map(([name, version]) => `${name}@${version}`);
}

function tooLate(server: string, packages: string[], ms: number): HoldfastError {
  const key = `mcpServers.${server}.connectionTimeoutMs`;
  const message = `MCP server ${JSON.stringify(server)}: npm has not installed ${packages.join(" ")} within ${key} = ${ms}; try again, npm keeps what it has fetched, or raise it`;
  return new HoldfastError("server_down", message);
}

/** npm's own error: the meaningful lines among many. */
function lastWords(said: string): string {
  const lines = said.split("\n").filter((line) => /^npm (error|ERR!)/.test(line));
  const telling = lines.filter((line) => !/A complete log of this run|errno|^npm \S+ *$/.test(line)).slice(0, 3);
  return telling.length === 0 ? "" : `, ${telling.map((line) => line.replace(/^npm \S+ */, "")).join(", ")}`;
}
