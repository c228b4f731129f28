/** Hosts of a test in network namespaces of their own, each behind a wire that can be cut. Needs root. */
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readlinkSync } from "node:fs";
import { until } from "../../helpers/until.ts";

const boundMs = 10_000;

function run(command: string, ...args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { encoding: "utf8", timeout: boundMs });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
}

const ip = (...args: string[]) => run("ip", ...args);

/** Third byte of 10.84.x.0/24. */
const number = (process.pid % 250) + 1;
let networks = 0;

export interface FarHost {
  /** Put before a command line it runs there. */
  prefix: string[];
  /** From here on no packet passes. */
  cut(): void;
  mend(): void;
}

export class Network implements AsyncDisposable {
  /** Of this side. */
  readonly address: string;
  readonly #name: string;
  readonly #holders: ChildProcess[] = [];

  constructor() {
    networks += 1;
    this.#name = `hn${number}x${networks}`;
    this.address = `10.84.${number}.${networks * 32 + 1}`;
    ip("link", "add", this.#name, "type", "bridge");
    ip("address", "add", `${this.address}/27`, "dev", this.#name);
    ip("link", "set", this.#name, "up");
  }

  async host(): Promise<FarHost> {
    const holder = spawn("unshare", ["--net", "sleep", "100000"], { stdio: "ignore" });
    const index = this.#holders.push(holder);
    const pid = String(holder.pid ?? 0);
    const own = readlinkSync("/proc/self/ns/net");
    await until("a network namespace", () => readlinkSync(`/proc/${pid}/ns/net`) !== own, { boundMs });
    const [near, far] = [`${this.#name}n${index}`, `${this.#name}f${index}`];
    ip("link", "add", near, "type", "veth", "peer", "name", far, "netns", pid);
    ip("link", "set", near, "master", this.#name, "up");
    const prefix = ["nsenter", "--net", "--target", pid];
    const [base = ""] = /^.*\./.exec(this.address) ?? [];
    run(prefix[0]!, ...prefix.slice(1), "ip", "address", "add", `${base}${Number(this.address.slice(base.length)) + index}/27`, "dev", far); // prettier-ignore
    run(prefix[0]!, ...prefix.slice(1), "ip", "link", "set", far, "up");
    return { prefix, cut: () => ip("link", "set", near, "down"), mend: () => ip("link", "set", near, "up") };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const ends = this.#holders.map((holder) => once(holder, "close"));
    for (const holder of this.#holders) holder.kill("SIGKILL");
    await Promise.all(ends);
    ip("link", "delete", this.#name);
  }
}
