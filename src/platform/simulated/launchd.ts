/**
 * launchd on a simulated machine with XNU's rules: each job has a coalition of its own and launchd for its parent. What is known of it
 * is from launchd.plist(5), launchctl(1) and what it prints; its present source is closed.
 */
import type { Launchctl, LaunchctlResult } from "../darwin/launchctl.ts";
import type { Coalition } from "./coalitions.ts";
import type { Machine } from "./machine.ts";
import type { Birth, Exit, Process, Program } from "./process.ts";
import type { SimulatedSystem } from "./system.ts";

/** What a property list says, as data. */
export interface SimulatedJob {
  readonly label: string;
  readonly isKept: boolean;
  readonly program: Program;
  readonly birth: Birth;
}

interface Loaded extends SimulatedJob {
  readonly domain: string;
  readonly coalition: Coalition;
  main: Process | undefined;
  exit: Exit | undefined;
  startedMs: number;
}

/** ThrottleInterval of launchd.plist(5). */
const throttleMs = 10_000;
/** ExitTimeOut: from SIGTERM to SIGKILL. */
const exitTimeoutMs = 5000;
/** Longest time of launchctl, one way. */
const wayMs = 0.5;

const signals: Partial<Record<NodeJS.Signals, string>> = {
  SIGKILL: "Killed: 9",
  SIGTERM: "Terminated: 15",
  SIGHUP: "Hangup: 1",
};
const answer = (code: number, text = ""): LaunchctlResult =>
  code === 0 ? { code, stdout: text, stderr: "" } : { code, stdout: "", stderr: text };

export class SimulatedLaunchd {
  readonly #machine: Machine;
  readonly #jobs = new Map<string, Loaded>();
  /** By path. */
  readonly propertyLists = new Map<string, SimulatedJob>();
  /** Verbs that fail, with their answer. */
  readonly refusals = new Map<string, LaunchctlResult>();
  /** Of a job that does not start by itself although it is to run at load. */
  idleProbability = 0.05;
  /** Whether somebody is logged in at the screen. */
  hasScreen = true;

  constructor(machine: Machine) {
    this.#machine = machine;
  }

  /** Labels of all loaded jobs. */
  get labels(): string[] {
    return [...this.#jobs.keys()];
  }

  mainOf(label: string): Process | undefined {
    return this.#jobs.get(label)?.main;
  }

  /** The program launchctl, run by this process. It goes on without it, and then nobody hears its answer. */
  launchctl(caller: SimulatedSystem): Launchctl {
    const { random } = this.#machine.simulation;
    return async (words) => {
      if (!caller.call()) return new Promise(() => {});
      await this.#machine.simulation.clock().sleep(random.fraction() * wayMs);
      const result = await this.#obey(words);
      await caller.clock.sleep(random.fraction() * wayMs);
      return result;
    };
  }

  async #obey([verb = "", target = "", path = ""]: readonly string[]): Promise<LaunchctlResult> {
    const refusal = this.refusals.get(verb);
    if (refusal !== undefined) return refusal;
    const isMissing = target.startsWith("gui/") && !this.hasScreen;
    if (verb === "bootstrap") {
      if (isMissing) return answer(125, "Bootstrap failed: 125: Domain does not support specified action");
      return this.#bootstrap(target, path);
    }
    if (verb === "print" && target.split("/").length === 2)
      return isMissing ? answer(112, "Could not find domain") : answer(0, this.#printDomain(target));
    const job = this.#at(target);
    if (verb === "bootout" && job === undefined) return answer(3, "Boot-out failed: 3: No such process");
    if (job === undefined) return answer(113, `Could not find service "${target}"`);
    if (verb === "bootout") await this.#bootout(job);
    if (verb === "kickstart") this.#start(job);
    return answer(0, verb === "print" ? this.#print(job) : "");
  }

  #at(target: string): Loaded | undefined {
    const at = target.lastIndexOf("/");
    const job = this.#jobs.get(target.slice(at + 1));
    return job?.domain === target.slice(0, at) ? job : undefined;
  }

  #bootstrap(domain: string, path: string): LaunchctlResult {
    const job = this.propertyLists.get(path);
    if (job === undefined || this.#jobs.has(job.label)) return answer(5, "Bootstrap failed: 5: Input/output error");
    const coalition = this.#machine.kernel.coalitions.make();
    const loaded: Loaded = { ...job, domain, coalition, main: undefined, exit: undefined, startedMs: -throttleMs };
    this.#jobs.set(job.label, loaded);
    if (!this.#machine.simulation.random.chance(this.idleProbability)) this.#later(0, loaded);
    return answer(0);
  }

  #later(ms: number, job: Loaded): void {
    const clock = this.#machine.simulation.clock();
    clock.after(ms, () => this.#start(job));
  }

  #start(job: Loaded): void {
    if (job.main !== undefined || this.#jobs.get(job.label) !== job) return;
    const { kernel, simulation } = this.#machine;
    const main = kernel.fork(kernel.init, job.program, {
      ...job.birth,
      coalition: job.coalition,
      isSessionLeader: true,
    });
    job.main = main;
    job.startedMs = simulation.nowMs;
    main.whenOver((exit) => {
      job.main = undefined;
      job.exit = exit;
      if (job.isKept && exit.code !== 0) this.#later(Math.max(0, job.startedMs + throttleMs - simulation.nowMs), job);
    });
  }

  /** Ends the main process only: a grandchild in a session of its own stays, and with it the coalition. */
  async #bootout(job: Loaded): Promise<void> {
    const clock = this.#machine.simulation.clock();
    this.#jobs.delete(job.label);
    const { main } = job;
    if (main === undefined) return;
    const isOver = new Promise<void>((resolve) => main.whenOver(() => resolve()));
    this.#machine.kernel.signal(main, "SIGTERM");
    const kill = clock.after(exitTimeoutMs, () => this.#machine.kernel.signal(main, "SIGKILL"));
    await isOver;
    kill.clear();
  }

  #printDomain(domain: string): string {
    const jobs = [...this.#jobs.values()].filter((job) => job.domain === domain);
    const lines = jobs.map(({ label, main }) => `\t\t${main?.pid ?? 0} - \t${label}\n`);
    return `${domain} = {\n\tservices = {\n${lines.join("")}\t}\n}\n`;
  }

  #print({ domain, label, main, exit, coalition }: Loaded): string {
    const ended =
      exit?.signal == null
        ? `last exit code = ${exit === undefined ? "(never exited)" : String(exit.code)}`
        : `last terminating signal = ${signals[exit.signal] ?? "Unknown"}`;
    const state = main === undefined ? "\tstate = not running\n" : `\tstate = running\n\tpid = ${main.pid}\n`;
    const block = `\tresource coalition = {\n\t\tID = ${coalition.id}\n\t\tstate = active\n\t}\n`;
    return `${domain}/${label} = {\n${state}\t${ended}\n${block}}\n`;
  }
}
