/**
 * A far side for a test: a real sshd on a loopback port (or behind a wire of its own that can be cut), with keys of its
 * own, and an `ssh` on PATH that knows it by the name `far`.
 */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import {
  chmodSync,
  chownSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { isLive, pidsByEnvironment, statOf } from "./pids.ts";
import { findProgram } from "./needs.ts";
import { until } from "./until.ts";

const boundMs = 20_000;
const nobody = 65534;

export interface FarSideOptions {
  /** Lines added to sshd_config. */
  sshd?: string[];
  /** Put it into a network namespace of its own, behind a wire that `cut()` cuts. */
  wire?: boolean;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

function run(command: string, args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8", timeout: boundMs });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
}

function allCommandLines(): { pid: number; words: string[] }[] {
  return readdirSync("/proc")
    .filter((name) => /^[1-9]/.test(name))
    .flatMap((name) => {
      try {
        return [{ pid: Number(name), words: readFileSync(`/proc/${name}/cmdline`, "latin1").split("\0") }];
      } catch {
        return []; // it ended
      }
    });
}

/** Third byte of 10.83.x.0: each far side with a wire has a network of its own. */
let networks = (process.pid % 200) + 1;

export class FarSide implements AsyncDisposable {
  readonly directory: string;
  readonly port: number;
  readonly address: string;
  /** For the gateway's PATH: its `ssh` reads our config and nothing else is different. */
  readonly path: string;
  readonly config: string;
  readonly #daemon: ChildProcess;
  readonly #holder: ChildProcess | undefined;
  readonly #wire: string | undefined;

  static async start(options: FarSideOptions = {}): Promise<FarSide> {
    mkdirSync("/run/sshd", { recursive: true });
    const directory = mkdtempSync(join(tmpdir(), "holdfast-far-"));
    chmodSync(directory, 0o755);
    const port = await freePort();
    const far = new FarSide(directory, port, options);
    await until("sshd to answer", () => far.#answers(), { boundMs, everyMs: 20 });
    return far;
  }

  private constructor(directory: string, port: number, { sshd = [], wire = false }: FarSideOptions) {
    this.directory = directory;
    this.port = port;
    this.config = join(directory, "ssh_config");
    this.path = join(directory, "bin");
    this.address = "127.0.0.1";
    let prefix: string[] = [];
    if (wire) {
      const network = networks++;
      this.#wire = `hf${network}a`;
      this.address = `10.83.${network}.2`;
      this.#holder = spawn("unshare", ["--net", "sleep", "100000"], { stdio: "ignore" });
      prefix = this.#layWire(network, this.#holder);
    }
    for (const name of ["host", "key"])
      run("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-f", join(directory, name)]);
    this.#writeFiles(sshd);
    const words = [...prefix, findProgram("sshd") ?? "sshd", "-D", "-e", "-f", join(directory, "sshd_config")];
    this.#daemon = spawn(words[0]!, words.slice(1), { stdio: ["ignore", "ignore", "ignore"], detached: true });
  }

  /** Everything that sshd started for its connections: one process each, the parents of what runs here. */
  get sessions(): number[] {
    return readdirSync("/proc")
      .filter((name) => /^[1-9]/.test(name))
      .map(Number)
      .filter((pid) => statOf(pid)?.ppid === this.daemon && isLive({ pid }));
  }

  get daemon(): number {
    return this.#daemon.pid ?? 0;
  }

  /** Local ends: the ssh processes that speak to this far side. */
  clients(): { pid: number; master: boolean }[] {
    return allCommandLines()
      .filter(({ pid, words }) => words.includes(this.config) && /(^|\/)ssh$/.test(words[0] ?? "") && isLive({ pid }))
      .map(({ pid, words }) => ({ pid, master: words.includes("ControlMaster=yes") }));
  }

  /** Our own shells over there: guardians, their monitors, guards. Those of another far side of this machine are not ours. */
  shells(): number[] {
    const here = new Set(this.strays());
    return allCommandLines()
      .filter(
        ({ pid, words }) => here.has(pid) && words.some((word) => /^eval "\$(?:\(dd bs=1|HOLDFAST_SCRIPT")/.test(word)),
      )
      .map(({ pid }) => pid)
      .filter((pid) => isLive({ pid }));
  }

  /** From here on no packet passes. */
  cut(): void {
    run("ip", ["link", "set", this.#wire ?? "no-wire", "down"]);
  }

  mend(): void {
    run("ip", ["link", "set", this.#wire ?? "no-wire", "up"]);
  }

  /** Everything that came here through sshd and has its environment still: our shells and their sleeps as well. */
  strays(): number[] {
    const ending = ` ${this.address} ${this.port}`;
    return pidsByEnvironment((environment) =>
      environment.split("\0").some((entry) => entry.startsWith("SSH_CONNECTION=") && entry.endsWith(ending)),
    );
  }

  /** Throws when anything that was started over there is left, after ending it. */
  async [Symbol.asyncDispose](): Promise<void> {
    const left = await until("an empty far side", () => this.strays().length === 0, { boundMs: 5000 }).then(
      () => [],
      () => this.strays(),
    );
    for (const pid of left) process.kill(pid, "SIGKILL");
    await this.#close();
    if (left.length > 0) throw new Error(`left on the far side: ${left.join(", ")}`);
  }

  async #close(): Promise<void> {
    const ours = [...this.sessions, this.daemon, this.#holder?.pid ?? 0].filter((pid) => pid > 0);
    for (const pid of ours) {
      try {
        process.kill(pid, "SIGKILL");
      } catch {
        // gone already
      }
    }
    await until("sshd to be gone", () => !ours.some((pid) => isLive({ pid })), { boundMs });
    rmSync(this.directory, { recursive: true, force: true });
  }

  #writeFiles(sshd: string[]): void {
    const { directory, address, port } = this;
    // sshd takes the first of two.
    const lines = [
      ...sshd,
      `Port ${port}`,
      `ListenAddress ${address}`,
      `HostKey ${join(directory, "host")}`,
      "PidFile none",
      `AuthorizedKeysFile ${join(directory, "key.pub")}`,
      "StrictModes no",
      "UsePAM no",
      "PasswordAuthentication no",
      "PrintMotd no",
      // By it bash takes itself for a shell in a shell, and leaves alone what the user of this machine has in .bashrc.
      "SetEnv SHLVL=1",
    ];
    writeFileSync(join(directory, "sshd_config"), `${lines.join("\n")}\n`);
    const hostKey = readFileSync(join(directory, "host.pub"), "utf8").split(" ").slice(0, 2).join(" ");
    writeFileSync(join(directory, "known_hosts"), `[${address}]:${port} ${hostKey}\n`);
    const client = [
      "Host far",
      `  HostName ${address}`,
      `  Port ${port}`,
      "  User root",
      `  IdentityFile ${join(directory, "key")}`,
      "  IdentitiesOnly yes",
      `  UserKnownHostsFile ${join(directory, "known_hosts")}`,
    ];
    writeFileSync(this.config, `${client.join("\n")}\n`);
    mkdirSync(this.path);
    writeFileSync(join(this.path, "ssh"), `#!/bin/sh\nexec /usr/bin/ssh -F ${this.config} "$@"\n`);
    chmodSync(join(this.path, "ssh"), 0o755);
  }

  /** A gateway without rights must own the key that it shows. */
  ownedBy(tier: string): this {
    if (tier === "subreaper") chownSync(join(this.directory, "key"), nobody, nobody);
    return this;
  }

  #layWire(network: number, holder: ChildProcess): string[] {
    const [near, far] = [`hf${network}a`, `hf${network}b`];
    const pid = String(holder.pid ?? 0);
    const inside = ["nsenter", "--net", "--target", pid];
    // The namespace is there once the program behind unshare runs.
    const waiting = spawnSync("sh", ["-c", `i=0; while [ $i -lt 500 ] && [ "$(readlink /proc/${pid}/ns/net)" = "$(readlink /proc/self/ns/net)" ]; do sleep 0.01; i=$((i+1)); done`]); // prettier-ignore
    if (waiting.status !== 0) throw new Error("no network namespace");
    run("ip", ["link", "add", near, "type", "veth", "peer", "name", far, "netns", pid]);
    run("ip", ["address", "add", `10.83.${network}.1/24`, "dev", near]);
    run("ip", ["link", "set", near, "up"]);
    run(inside[0]!, [...inside.slice(1), "ip", "address", "add", `10.83.${network}.2/24`, "dev", far]);
    run(inside[0]!, [...inside.slice(1), "ip", "link", "set", far, "up"]);
    return inside;
  }

  #answers(): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.port, this.address);
      socket.once("data", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
  }
}
