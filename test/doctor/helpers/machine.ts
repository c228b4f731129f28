/**
 * A machine that holds nothing but what a test plants: a pid namespace with its own /proc. The doctor that runs in it cannot
 * see, and so cannot touch, anything else of the machine that the tests run on; when it is disposed of, the kernel ends all of it.
 */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { needs, needsNamespace } from "../../helpers/needs.ts";
import type { Report } from "../../../src/doctor/examine.ts";
import type { Reaped } from "../../../src/doctor/reap.ts";
import { readListed, type Listed } from "../../helpers/pids.ts";
import { mainFile } from "../../helpers/program.ts";
import { fixture } from "../../helpers/servers.ts";
import { launchOn } from "../../helpers/tiers.ts";
import { until } from "../../helpers/until.ts";

export interface Planned {
  how: "socket" | "one" | "pipe" | "pair";
  words: string[];
}

export interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

const boundMs = 20_000;

/** Why there can be no such machine here; false when there can. */
export function machineProblem(): string | false {
  return needsNamespace("pid") || needs("nsenter");
}

/** The words that make a command that of the user that owns nothing. */
export function becomeNobody(): string[] {
  const { prefix, identity } = launchOn("subreaper");
  return prefix.length > 0
    ? prefix
    : ["setpriv", `--reuid=${identity.uid}`, `--regid=${identity.gid}`, "--clear-groups"];
}

export class Machine {
  /** For lists and programs; everybody may read it. */
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-machine-"));
  /** Where planted servers list themselves, with their pids inside. */
  readonly list = join(this.directory, "list");
  readonly #unshare: ChildProcess;
  /** Pid of its process 1, as the outside sees it. */
  readonly init: number;
  readonly #hosts = new Set<ChildProcess>();

  private constructor(unshare: ChildProcess, init: number) {
    this.#unshare = unshare;
    this.init = init;
    chmodSync(this.directory, 0o755);
    const bin = join(this.directory, "bin");
    mkdirSync(bin);
    // Shells under other names: what a command line says is all that a name is worth.
    for (const name of ["node", "npx", "mcp-shell"]) symlinkSync("/bin/sh", join(bin, name));
  }

  static async start(): Promise<Machine> {
    const words = ["--pid", "--fork", "--mount-proc", "--kill-child", "sh", fixture("doctor/init.sh")];
    const unshare = spawn("unshare", words, { stdio: ["pipe", "pipe", "inherit"] });
    await once(unshare.stdout, "data");
    const children = readFileSync(`/proc/${unshare.pid}/task/${unshare.pid}/children`, "latin1");
    return new Machine(unshare, Number(children.trim()));
  }

  bin(name: "node" | "npx" | "mcp-shell"): string {
    return join(this.directory, "bin", name);
  }

  /** Starts a command inside; its parent stays outside, so what it leaves behind goes to the machine's process 1. */
  spawn(
    words: readonly string[],
    stdin: "pipe" | "ignore" = "ignore",
    env: NodeJS.ProcessEnv = process.env,
  ): ChildProcess {
    const inside = ["--target", String(this.init), "--pid", "--mount", "--", ...words];
    return spawn("nsenter", inside, { stdio: [stdin, "pipe", "pipe"], cwd: "/", env });
  }

  async run(words: readonly string[], env: NodeJS.ProcessEnv = process.env): Promise<Outcome> {
    const child = this.spawn(words, "ignore", env);
    const outcome: Outcome = { code: null, stdout: "", stderr: "" };
    child.stdout?.on("data", (chunk: Buffer) => (outcome.stdout += chunk.toString()));
    child.stderr?.on("data", (chunk: Buffer) => (outcome.stderr += chunk.toString()));
    const timer = setTimeout(() => child.kill("SIGKILL"), boundMs);
    const [code] = (await once(child, "close")) as [number | null];
    clearTimeout(timer);
    return { ...outcome, code };
  }

  doctor(...words: string[]): Promise<Outcome> {
    return this.run([process.execPath, mainFile, "doctor", ...words]);
  }

  /** The report of `doctor --json` and what else it was asked. */
  async examine(...words: string[]): Promise<Report & { reaped: Reaped }> {
    const { stdout, stderr, code } = await this.doctor("--json", ...words);
    if (code !== 0) throw new Error(`doctor: exit code ${code}: ${stderr}`);
    return JSON.parse(stdout) as Report & { reaped: Reaped };
  }

  /** Starts a host, as another user with the words of `become`, and waits until all of its servers are in the list. */
  async plant(plan: readonly Planned[], listed = plan.length, become: readonly string[] = []): Promise<ChildProcess> {
    const before = readListed(this.list).length;
    const host = this.spawn([...become, process.execPath, fixture("doctor/host.ts"), JSON.stringify(plan)]);
    this.#hosts.add(host);
    host.stderr?.on("data", (chunk: Buffer) => process.stderr.write(chunk));
    await once(host.stdout!, "data");
    await this.untilListed(before + listed);
    return host;
  }

  untilListed(count: number): Promise<Listed[]> {
    const ask = () => (readListed(this.list).length >= count ? readListed(this.list) : undefined);
    return until(`${count} servers in the list`, ask, { boundMs });
  }

  /** Kills a host as the system's killer would, and waits until its orphans have been handed to process 1. */
  async kill(host: ChildProcess): Promise<void> {
    // nsenter has become nothing but the parent of the host, which is its only child.
    const inside = Number(readFileSync(`/proc/${host.pid}/task/${host.pid}/children`, "latin1").trim());
    const ended = once(host, "exit"); // its servers still hold its stderr
    process.kill(inside, "SIGKILL");
    await ended;
    this.#hosts.delete(host);
  }

  /** A pid of the inside, as the kernel sees it: whether it lives. */
  isLive({ pid, startTime }: { pid: number; startTime: string }): boolean {
    try {
      const stat = readFileSync(`/proc/${this.init}/root/proc/${pid}/stat`, "latin1");
      const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
      return fields[0] !== "Z" && fields[0] !== "X" && fields[19] === startTime;
    } catch {
      return false; // there is none
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const living = [this.#unshare, ...this.#hosts].filter(
      ({ exitCode, signalCode }) => exitCode === null && signalCode === null,
    );
    const ended = living.map((child) => once(child, "close"));
    // Process 1 of the namespace is killed with it, and all the others by the kernel.
    this.#unshare.kill("SIGKILL");
    await Promise.all(ended);
    rmSync(this.directory, { recursive: true, force: true });
  }
}
