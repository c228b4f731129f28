/** Holdfast's own processes, outside every container, as Node starts them on every system. */
import { fork, spawn, spawnSync, type ChildProcess, type SpawnOptions } from "node:child_process";
import type { Duplex } from "node:stream";
import type { Attempt, FrontLink, FrontRequest, Helper, HelperExit, PoliteRequest } from "./types.ts";

/** What a system adds. */
export interface HelperSystem {
  /** Starts the process, with what is held in reserve for it. */
  readonly lend: <T>(start: () => T) => T;
  /** In the same turn as the start. */
  readonly register: (child: ChildProcess) => void;
  readonly signalOf: (request: PoliteRequest | "kill") => NodeJS.Signals;
}

/** Starts one with the spare descriptors, so that it works when runs have used all others. */
export function startChild(
  system: HelperSystem,
  [command = "", ...args]: readonly string[],
  options: SpawnOptions,
): { helper: Helper; child: ChildProcess } {
  const child = system.lend(() => spawn(command, args, { windowsHide: true, ...options }));
  return { helper: new ChildHelper(system, child), child };
}

class ChildHelper implements Helper {
  readonly pid: number;
  readonly stdout: Helper["stdout"];
  readonly stderr: Helper["stderr"];
  readonly exit: Promise<HelperExit>;
  readonly #child: ChildProcess;
  readonly #system: HelperSystem;

  constructor(system: HelperSystem, child: ChildProcess) {
    system.register(child);
    this.#system = system;
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.stdout = child.stdout;
    this.stderr = child.stderr;
    this.exit = new Promise((resolve) => {
      child.once("exit", (code, signal) => resolve({ code, signal, refused: null }));
      // Permanent: failed signals and messages to a live child arrive as the same event.
      child.on("error", (error) => {
        if (this.pid === 0) resolve({ code: null, signal: null, refused: error.message });
      });
    });
  }

  get isRunning(): boolean {
    return this.pid !== 0 && this.#child.exitCode === null && this.#child.signalCode === null;
  }

  signal(request: PoliteRequest | "kill"): void {
    this.#child.kill(this.#system.signalOf(request));
  }
}

/** Node itself restricts the front: no child process, worker or addon, and one writable directory. */
function frontFlags(directory: string): string[] {
  // A small young generation keeps memory flat over many sessions; V8 would grow it for a burst and keep it.
  const flags = [
    "--max-semi-space-size=2",
    "--permission",
    "--allow-fs-read=*",
    `--allow-fs-write=${directory}`,
    "--disable-sigusr1",
  ];
  if (process.allowedNodeEnvironmentFlags.has("--allow-net")) flags.push("--allow-net");
  return [...flags, "--disable-warning=ExperimentalWarning", "--disable-warning=SecurityWarning"];
}

export function forkRestricted(
  system: HelperSystem,
  { entry, directory, env, dataDescriptor }: FrontRequest,
): FrontLink {
  const between = Array.from({ length: dataDescriptor - 4 }, () => "ignore" as const);
  const child = system.lend(() =>
    fork(entry, [], {
      execArgv: frontFlags(directory),
      env,
      serialization: "json",
      stdio: ["ignore", "pipe", "pipe", "ipc", ...between, "pipe"],
      windowsHide: true,
    }),
  );
  const data = child.stdio[dataDescriptor] as Duplex;
  data?.on("error", () => {}); // the front is gone; its exit reports that
  return Object.assign(new ChildHelper(system, child), {
    data,
    send(message: object) {
      if (child.connected) child.send(message, () => {});
    },
    onMessage: (hear: (message: unknown) => void) => void child.on("message", hear),
  });
}

const attemptMsMax = 15_000;
/** Of its output, in characters. */
const shownMax = 500;

export function attempt([command = "", ...args]: readonly string[]): Attempt {
  const { status, signal, stderr, error } = spawnSync(command, args, {
    stdio: ["ignore", "ignore", "pipe"],
    encoding: "utf8",
    timeout: attemptMsMax,
    killSignal: "SIGKILL",
    maxBuffer: 64 * 1024,
    windowsHide: true,
  });
  return { code: status, signal, stderr: (stderr ?? "").trim().slice(0, shownMax), refused: error?.message ?? null };
}
