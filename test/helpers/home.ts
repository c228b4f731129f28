/**
 * A gateway's home for one test: a temporary directory with its config, its state and the fixtures' lists. When it is
 * disposed of, it proves that nothing of the gateways that lived in it is left: that is the test's last assertion.
 */
import {
  type Dirent,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  rmdirSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isLive, killWhatIsLeft, pidsByEnvironment } from "./pids.ts";
import { cgroupMount, giveTo, type TierName } from "./tiers.ts";
import { until } from "./until.ts";

/** Deepest place under the cgroup mount where a holdfast-<owner id> directory may be (a systemd user unit is five down). */
const cgroupDepthMax = 8;

function entriesOf(directory: string): Dirent[] {
  try {
    return readdirSync(directory, { withFileTypes: true });
  } catch {
    return []; // another test's cgroup, removed since it was listed
  }
}

/** Ends and removes a cgroup that should not be there any more, leaves first. */
function removeCgroup(directory: string): void {
  writeFileSync(join(directory, "cgroup.kill"), "1");
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) removeCgroup(join(directory, entry.name));
  }
  try {
    rmdirSync(directory);
  } catch {
    // What was killed just now is still on its way out; the test has failed already and said what was left.
  }
}

export class Home {
  readonly tier: TierName;
  readonly directory: string;
  readonly stateDir: string;
  readonly configFile: string;
  /** Where fixtures list themselves. */
  readonly pidFile: string;
  /** What the gateway printed, both streams. */
  readonly logFile: string;
  /** Everything that was started here and must be gone at the end. */
  readonly #held = new Map<number, { pid: number; startTime: string; who: string }>();

  constructor(tier: TierName, config: object = {}) {
    this.tier = tier;
    this.directory = mkdtempSync(join(tmpdir(), "holdfast-test-"));
    this.stateDir = join(this.directory, "state");
    this.configFile = join(this.directory, "holdfast.json");
    this.pidFile = join(this.directory, "pids");
    this.logFile = join(this.directory, "gateway.log");
    mkdirSync(this.stateDir, { mode: 0o700 });
    this.configure(config);
    writeFileSync(this.pidFile, "");
    writeFileSync(this.logFile, "");
    for (const path of [this.directory, this.stateDir, this.configFile, this.pidFile, this.logFile]) giveTo(tier, path);
  }

  configure(config: object): void {
    // Longer than any start takes on a busy machine: a list without a server would be no fault, but not the test's matter.
    const limits = { listMs: 20_000, ...(config as { limits?: object }).limits };
    writeFileSync(this.configFile, JSON.stringify({ port: 0, ...config, limits }, null, 2));
  }

  /** The random id of the state directory, once a gateway made it. */
  get ownerId(): string | undefined {
    const file = join(this.stateDir, "owner");
    return existsSync(file) ? readFileSync(file, "latin1").trim() : undefined;
  }

  openLog(): number {
    return openSync(this.logFile, "a");
  }

  get log(): string {
    return readFileSync(this.logFile, "utf8");
  }

  /** Names a process that must be gone when the test is over. */
  hold(who: string, one: { pid: number; startTime: string }): void {
    this.#held.set(one.pid, { ...one, who });
  }

  /** Live processes whose environment carries this state directory's marker. */
  marked(variable = "HOLDFAST_RUN"): number[] {
    const owner = this.ownerId;
    if (owner === undefined) return [];
    return pidsByEnvironment((environment) =>
      environment
        .split("\0")
        .some(
          (entry) => entry.startsWith(`${variable}=`) && `/${entry.slice(variable.length + 1)}`.includes(`/${owner}/`),
        ),
    );
  }

  /** Directories of this owner that are still in the cgroup file system. */
  cgroups(): string[] {
    const owner = this.ownerId;
    const group = cgroupMount();
    if (owner === undefined || group === undefined) return [];
    const found: string[] = [];
    const visit = (directory: string, depth: number) => {
      for (const entry of entriesOf(directory)) {
        if (!entry.isDirectory()) continue;
        const path = join(directory, entry.name);
        if (entry.name.includes(owner)) found.push(path);
        else if (depth < cgroupDepthMax) visit(path, depth + 1);
      }
    };
    visit(group.mount, 0);
    return found;
  }

  #leftovers(): string[] {
    const held = [...this.#held.values()].filter(isLive).map((one) => `${one.who} (pid ${one.pid})`);
    const marked = this.marked().map((pid) => `marked process ${pid}`);
    return [...held, ...marked, ...this.cgroups()];
  }

  /** Removes the directory; throws when anything of this home still lives, after ending it. */
  async [Symbol.asyncDispose](): Promise<void> {
    let left: string[] = [];
    const isClean = () => {
      left = this.#leftovers();
      return left.length === 0;
    };
    const problem = await until("an empty home", isClean, { boundMs: 2000, everyMs: 10 }).then(
      () => undefined,
      () => new Error(`left behind: ${left.join(", ")}\n--- gateway's output\n${this.log.slice(-4000)}`),
    );
    for (const pid of [...this.#held.values()]
      .filter(isLive)
      .map((one) => one.pid)
      .concat(this.marked())) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // It ended between the look and the signal.
      }
    }
    await killWhatIsLeft(this.pidFile);
    for (const directory of this.cgroups()) removeCgroup(directory);
    rmSync(this.directory, { recursive: true, force: true });
    if (problem !== undefined) throw problem;
  }
}
