/**
 * The model kernel as the code for macOS asks a real one, seen by one process. Each call takes a while, in which other processes
 * go on.
 */
import type { Xnu, XnuArguments, XnuProcess } from "../darwin/xnu.ts";
import { startMs } from "./simulation.ts";
import type { SimulatedSystem } from "./system.ts";

export interface SimulatedXnuOptions {
  readonly platform: SimulatedSystem;
  /** Commands whose environment is withheld (sysctl_procargsx: cs_restricted), as that of Apple's own programs. */
  readonly restricted?: ReadonlySet<string>;
  /** Whether the system has `proc_signal_with_audittoken`; it does by default. */
  readonly signalsExactly?: boolean;
}

export class SimulatedXnu implements Xnu {
  readonly signalsExactly: boolean;
  readonly #platform: SimulatedSystem;
  readonly #restricted: ReadonlySet<string>;

  constructor({ platform, restricted = new Set(), signalsExactly = true }: SimulatedXnuOptions) {
    this.#platform = platform;
    this.#restricted = restricted;
    this.signalsExactly = signalsExactly;
  }

  /** proc_listpids walks allproc, which a process leaves as it becomes a zombie. */
  pids(): number[] {
    this.#platform.call();
    return this.#platform.kernel.processes.flatMap(({ isAlive, pid }) => (isAlive ? [pid] : []));
  }

  process(pid: number): XnuProcess | undefined {
    this.#platform.call();
    const { kernel } = this.#platform;
    const found = kernel.find(pid);
    if (found === undefined) return undefined;
    const { state, ppid, rssBytes, cpuMs } = kernel.info(found);
    const { group, uid, version, startTime, parentStartTime, startedAtMs } = found;
    return {
      pid,
      ppid,
      state,
      group,
      uid,
      rssBytes,
      cpuMs,
      uniqueId: BigInt(startTime),
      parentUniqueId: BigInt(parentStartTime),
      pidVersion: version,
      startedAtUs: BigInt(Math.floor((startMs + startedAtMs) * 1000)),
    };
  }

  session(pid: number): number {
    this.#platform.call();
    return this.#platform.kernel.find(pid)?.session ?? 0;
  }

  arguments(pid: number): XnuArguments | undefined {
    this.#platform.call();
    const found = this.#platform.kernel.find(pid);
    if (found?.isAlive !== true || !this.#mayTouch(found.uid)) return undefined;
    const isWithheld = this.isRestricted(found.command);
    return { argv: found.command.split(" "), environment: isWithheld ? [] : found.environment.split("\0") };
  }

  isRestricted(command: string): boolean {
    return this.#restricted.has(command.split(" ")[0] ?? "");
  }

  signal(target: Pick<XnuProcess, "pid" | "uniqueId" | "pidVersion">, signal: NodeJS.Signals): boolean {
    const isLooked = this.#isTarget(target);
    // kill(2) takes a number, whoever has it by then.
    if (!this.signalsExactly && isLooked) this.#platform.call();
    const found = this.#platform.kernel.find(target.pid);
    if (!isLooked || found?.isAlive !== true || !this.#mayTouch(found.uid)) return false;
    this.#platform.kernel.signal(found, signal);
    return true;
  }

  coalition(pid: number): bigint | undefined {
    this.#platform.call();
    return this.#platform.kernel.find(pid)?.coalition?.id;
  }

  coalitionTasks(coalition: bigint): { readonly started: bigint; readonly exited: bigint } | undefined {
    this.#platform.call();
    const found = this.#platform.kernel.coalitions.find(coalition);
    return found === undefined ? undefined : { started: found.started, exited: found.exited };
  }

  bootSession(): string {
    return this.#platform.kernel.bootId;
  }

  /** In one step: proc_find_audit_token compares number and version. `kill` comes after a look at the unique id alone. */
  #isTarget({ pid, uniqueId, pidVersion }: Pick<XnuProcess, "pid" | "uniqueId" | "pidVersion">): boolean {
    if (!this.#platform.call()) return false;
    const found = this.#platform.kernel.find(pid);
    if (found?.isAlive !== true) return false;
    return this.signalsExactly ? found.version === pidVersion : found.startTime === String(uniqueId);
  }

  /** cansignal: the same user, or root. */
  #mayTouch(uid: number): boolean {
    return this.#platform.own.uid === uid || this.#platform.own.uid === 0;
  }
}
