/** The few things that are asked of launchd, with its refusals as errors that say what was asked. */
import type { Clock } from "../../clock.ts";
import type { Launchctl, LaunchctlResult } from "./launchctl.ts";
import { labelsIn, readJob, type JobState } from "./launchctl-output.ts";

/** Exit codes of launchctl, which are errors of launchd (`launchctl error <code>` names them). */
const code = {
  /** ESRCH of `bootout`. */
  noProcess: 3,
  /** EINPROGRESS of `bootout`: the job ends later. */
  inProgress: 36,
  noDomain: 112,
  noService: 113,
  /** "Domain does not support specified action": a session without a screen, such as over ssh, has no `gui` domain. */
  unsupported: 125,
};

/** For a job that launchd lets go in its own time. */
const goneMs = 5000;
const lookMs = 50;

function problemOf(action: string, { refused, isLate, stderr, code: exit }: LaunchctlResult): Error {
  const what = `launchctl ${action}`;
  if (refused !== undefined) return new Error(`${what} could not be run (${refused}): Holdfast needs /bin/launchctl`);
  if (isLate === true) return new Error(`${what} gave no answer in time: launchd may be busy, try again later`);
  const said = stderr.trim().split("\n")[0]?.slice(0, 200) ?? "";
  return new Error(`${what} failed with ${exit === null ? "a signal" : `exit code ${exit}`}: ${said || "no message"}`);
}

export class Launchd {
  readonly #launchctl: Launchctl;
  readonly #clock: Clock;
  /** Of this user, the better one first: jobs of `gui` have the rights of a person at the screen. */
  readonly #domains: readonly string[];

  constructor(launchctl: Launchctl, clock: Clock, uid: number) {
    this.#launchctl = launchctl;
    this.#clock = clock;
    this.#domains = [`gui/${uid}`, `user/${uid}`];
  }

  /** Loads a job; returns its target, `<domain>/<label>`. Throws with nothing loaded. */
  async bootstrap(label: string, propertyList: string): Promise<string> {
    for (const domain of this.#domains) {
      const result = await this.#launchctl(["bootstrap", domain, propertyList]);
      if (result.code === 0) return `${domain}/${label}`;
      const isMissing = result.code === code.unsupported || result.code === code.noDomain;
      if (isMissing && domain !== this.#domains.at(-1)) continue;
      const problem = problemOf(`bootstrap ${domain}`, result);
      // One that gave no answer may have loaded the job nevertheless.
      if (result.code === null) await this.bootout(`${domain}/${label}`);
      throw problem;
    }
    throw new Error("launchd has no domain");
  }

  /** Starts a job that was loaded and not started. */
  async kickstart(target: string): Promise<void> {
    const result = await this.#launchctl(["kickstart", target]);
    if (result.code !== 0) throw problemOf(`kickstart ${target}`, result);
  }

  /** Undefined: there is no such job. Throws when launchd does not say. */
  async find(target: string): Promise<JobState | undefined> {
    const result = await this.#launchctl(["print", target]);
    if (result.code === 0) return readJob(result.stdout);
    if (result.code === code.noService || result.code === code.noDomain || result.code === code.unsupported)
      return undefined;
    throw problemOf(`print ${target}`, result);
  }

  /** Unloads a job, which ends its main process. False: launchd still has it, or does not say. */
  async bootout(target: string): Promise<boolean> {
    const result = await this.#launchctl(["bootout", target]);
    if (result.code === 0 || result.code === code.noProcess || result.code === code.noService) return true;
    if (result.code !== code.inProgress) return false;
    let isGone = false;
    const deadline = this.#clock.monotonic() + goneMs;
    while (!isGone && this.#clock.monotonic() < deadline) {
      isGone = await this.find(target).then(
        (job) => job === undefined,
        () => false, // asked again
      );
      if (!isGone) await this.#clock.sleep(lookMs);
    }
    return isGone;
  }

  /** Unloads the job of this label, wherever it is. */
  async unload(label: string): Promise<void> {
    for (const domain of this.#domains) await this.bootout(`${domain}/${label}`);
  }

  /** Targets of all jobs whose label begins with `prefix`. A domain that cannot be read has none. */
  async targets(prefix: string): Promise<string[]> {
    const found: string[] = [];
    for (const domain of this.#domains) {
      const { code: exit, stdout } = await this.#launchctl(["print", domain]);
      if (exit === 0) found.push(...labelsIn(stdout, prefix).map((label) => `${domain}/${label}`));
    }
    return found;
  }
}
