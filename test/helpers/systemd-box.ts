/**
 * A real systemd with a user manager, in a box: namespaces and a cgroup of its own, a copy of the machine in memory, and in it
 * an ordinary user for whom `holdfast` is this project. With the box everything in it is gone. Needs root.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { needs, needsNamespace } from "./needs.ts";
import { fixture } from "./servers.ts";
import { cgroupMount, root } from "./tiers.ts";
import { until } from "./until.ts";

const user = "boxed";
const uid = 1234;
const place = "/opt/holdfast";
const startBoundMs = 60_000;
const commandBoundMs = 60_000;
const endBoundMs = 10_000;

export interface Answer {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** Why there can be no box here; false when there can. */
export function needsSystemd(): string | false {
  const problem = needsNamespace("mount") || needs("systemctl", "nsenter", "setpriv", "mount");
  if (problem !== false) return problem;
  if (!existsSync("/usr/lib/systemd/user/dbus.socket"))
    return "no bus for user managers (apt-get install dbus-user-session)";
  return cgroupMount() === undefined ? "systemd needs cgroup v2" : false;
}

/** Ends a cgroup with all below it; resolves when it is removed. */
async function removeWhole(directory: string): Promise<void> {
  writeFileSync(join(directory, "cgroup.kill"), "1");
  const remove = (path: string): void => {
    for (const entry of readdirSync(path, { withFileTypes: true }))
      if (entry.isDirectory()) remove(join(path, entry.name));
    rmdirSync(path);
  };
  const isRemoved = () => {
    try {
      remove(directory);
    } catch {
      // Its processes are on their way out.
    }
    return !existsSync(directory);
  };
  await until("an empty cgroup of the box", isRemoved, { boundMs: endBoundMs, everyMs: 20 });
}

/** Whoever tests may have a PATH into a directory that the box covers. */
const insidePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export class SystemdBox {
  readonly home = `/home/${user}`;
  readonly #cgroup: string;
  readonly #directory: string;
  readonly #outer: ChildProcess;
  /** Of its systemd, as seen from here. */
  #pid = 0;

  private constructor(cgroup: string, directory: string, outer: ChildProcess) {
    this.#cgroup = cgroup;
    this.#directory = directory;
    this.#outer = outer;
  }

  /** Resolves once the user manager runs. */
  static async start(): Promise<SystemdBox> {
    const mount = cgroupMount()?.mount ?? "";
    const directory = mkdtempSync(join(tmpdir(), "holdfast-box-"));
    const cgroup = join(mount, `holdfast-box-${process.pid}`);
    mkdirSync(cgroup);
    const enter = 'echo $$ >"$1/cgroup.procs"; shift; exec "$@"';
    const namespaces = ["--pid", "--fork", "--mount", "--uts", "--ipc", "--cgroup", "--kill-child"];
    const init = ["sh", fixture("systemd-box.sh"), directory, root, place, user, String(uid), insidePath];
    const words = ["-c", enter, "sh", cgroup, "unshare", ...namespaces, ...init];
    const outer = spawn("sh", words, { stdio: ["ignore", "ignore", "pipe"] });
    const box = new SystemdBox(cgroup, directory, outer);
    const said = text(outer.stderr);
    try {
      await box.#started(outer);
      return box;
    } catch (cause) {
      await box[Symbol.asyncDispose]();
      throw new Error(`no systemd came up: ${await said}`, { cause });
    }
  }

  async #started(outer: ChildProcess): Promise<void> {
    const bound = { boundMs: startBoundMs, everyMs: 50 };
    const find = () => {
      if (outer.exitCode !== null) throw new Error("the box ended at its start");
      const [pid] = readFileSync(`/proc/${outer.pid}/task/${outer.pid}/children`, "latin1").split(" ");
      if (pid === undefined || pid === "") return undefined;
      return readFileSync(`/proc/${pid}/comm`, "latin1") === "systemd\n" ? Number(pid) : undefined;
    };
    this.#pid = await until("process 1 of the box", find, bound);
    const isUp = async () => /^(?:running|degraded)/.test((await this.asRoot("systemctl is-system-running")).stdout);
    await until("a running system", isUp, bound);
    const { code, stderr } = await this.asRoot(`systemctl start user@${uid}`);
    if (code !== 0) throw new Error(`no user manager: ${stderr}`);
  }

  /** Runs a line of shell to its end. */
  asRoot(line: string): Promise<Answer> {
    return this.#run(["sh", "-c", line]);
  }

  /** The same as the user, in a scope of the user's slice as a login has it. */
  asUser(line: string): Promise<Answer> {
    const scope = ["systemd-run", "--scope", "--quiet", "--collect", `--slice=user-${uid}.slice`, "--"];
    const identity = ["setpriv", `--reuid=${uid}`, `--regid=${uid}`, "--clear-groups"];
    const runtime = `/run/user/${uid}`;
    const variables = [
      `HOME=${this.home}`,
      `USER=${user}`,
      `PATH=${this.home}/.local/bin:/usr/local/bin:/usr/bin:/bin`,
      `XDG_RUNTIME_DIR=${runtime}`,
      `DBUS_SESSION_BUS_ADDRESS=unix:path=${runtime}/bus`,
    ];
    return this.#run([...scope, ...identity, "env", "-i", ...variables, "sh", "-c", `cd; ${line}`]);
  }

  /** Waits until a line of shell answers as wanted. */
  async until(what: string, line: string, wanted: RegExp, boundMs = 30_000): Promise<string> {
    let last = "";
    const ask = async () => {
      const { stdout, stderr } = await this.asUser(line);
      last = stdout + stderr;
      return wanted.test(stdout);
    };
    await until(what, ask, { boundMs, everyMs: 100 }).catch((cause: unknown) => {
      throw new Error(`${String(cause)}; the last answer is: ${last}`, { cause });
    });
    return last;
  }

  async #run(words: string[]): Promise<Answer> {
    const enter = ["-t", String(this.#pid), "-p", "-m", "-u", "-i", "-C", "-r", "-w", "--", ...words];
    const child = spawn("nsenter", enter, {
      stdio: ["ignore", "pipe", "pipe"],
      env: { ...process.env, PATH: insidePath },
    });
    const timer = setTimeout(() => child.kill("SIGKILL"), commandBoundMs);
    try {
      const closed = once(child, "close");
      const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
      await closed;
      return { code: child.exitCode, stdout, stderr };
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const gone =
      this.#outer.exitCode === null && this.#outer.signalCode === null ? once(this.#outer, "exit") : undefined;
    await removeWhole(this.#cgroup);
    await gone;
    rmSync(this.#directory, { recursive: true, force: true });
  }
}
