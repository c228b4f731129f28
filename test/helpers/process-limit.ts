/** Bounds how many processes this test and all that it starts may be, where the machine lets it: a fault must not fork without end. */
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";

/** The directory of this process's group under the pids controller, of either version of cgroups. */
function ownGroup(): string | undefined {
  const mounts = readFileSync("/proc/self/mountinfo", "latin1").split("\n");
  const place = (type: string, isIt: (line: string) => boolean) =>
    mounts.find((line) => line.includes(` - ${type} `) && isIt(line))?.split(" ")[4];
  const groups = readFileSync("/proc/self/cgroup", "latin1");
  const first = place("cgroup", (line) => /[, ]pids(?:,|$)/.test(line));
  if (first !== undefined) return first + (/^\d+:(?:[^:]*,)?pids(?:,[^:]*)?:(.*)$/m.exec(groups)?.[1] ?? "");
  const second = place("cgroup2", () => true);
  return second === undefined ? undefined : second + (/^0::(.*)$/m.exec(groups)?.[1] ?? "");
}

export class ProcessLimit implements Disposable {
  /** False where no such group can be made. */
  readonly holds: boolean;
  readonly #above: string | undefined;
  readonly #group: string;

  constructor(processesMax: number) {
    this.#above = ownGroup();
    this.#group = join(this.#above ?? "", `holdfast-test-${process.pid}`);
    this.holds = this.#take(processesMax);
  }

  #take(processesMax: number): boolean {
    if (this.#above === undefined) return false;
    try {
      mkdirSync(this.#group);
      writeFileSync(join(this.#group, "pids.max"), String(processesMax), { flag: "r+" });
      writeFileSync(join(this.#group, "cgroup.procs"), String(process.pid), { flag: "r+" });
      return true;
    } catch {
      this.#remove(); // no rights, or no such controller here
      return false;
    }
  }

  /** Throws when a process is left in it. */
  [Symbol.dispose](): void {
    if (!this.holds) return;
    writeFileSync(join(this.#above ?? "", "cgroup.procs"), String(process.pid));
    rmdirSync(this.#group);
  }

  #remove(): void {
    try {
      rmdirSync(this.#group);
    } catch {
      // never made
    }
  }
}
