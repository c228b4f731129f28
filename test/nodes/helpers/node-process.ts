/** A real node for a test: the compiled `holdfast node run`, with a state directory of its own, heard by its progress in JSON. */
import { once } from "node:events";
import type { ChildProcess } from "node:child_process";
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { join } from "node:path";
import type { NodeProgress } from "../../../src/protocol/keeper/node.ts";
import { keeperFlags } from "../../../src/cli/become-keeper.ts";
import { mainFile, spawnOnTier } from "../../helpers/gateway.ts";
import { Home } from "../../helpers/home.ts";
import { statOf } from "../../helpers/pids.ts";
import { bestTier } from "../../helpers/tiers.ts";
import { until } from "../../helpers/until.ts";

type Step = Omit<NodeProgress, "data"> & Record<string, unknown>;

const boundMs = 20_000;

export interface NodeGiven {
  /** Of an earlier node, which this one goes on as. */
  home?: Home;
  /** Removes the home at its end; true for one that it was not given. */
  ownsHome?: boolean;
  config?: object;
  /** The gateway's address as the node is to see it. */
  url?: string;
  words?: string[];
  /** Put before the whole command line. */
  prefix?: string[];
  /** Node's own, for the node's keeper. */
  flags?: string[];
  env?: Record<string, string>;
}

export class NodeProcess implements AsyncDisposable {
  readonly home: Home;
  readonly steps: Step[] = [];
  readonly child: ChildProcess;
  readonly #exited: Promise<unknown>;
  readonly #ownHome: boolean;
  stderr = "";

  constructor(url: string, words: string[] = [], given: NodeGiven = {}) {
    this.#ownHome = given.ownsHome ?? given.home === undefined;
    this.home = given.home ?? new Home(bestTier(), given.config);
    const { home } = this;
    const { hostname, port } = new URL(url);
    const where = ["--host", hostname.replaceAll(/[[\]]/g, ""), "--port", port];
    const own = ["--state", home.stateDir, "--config", home.configFile, "--json"];
    const { prefix = [], flags = [], env = {} } = given;
    const whole = [...keeperFlags, ...flags, mainFile, "node", "run", ...where, ...words, ...own];
    this.child = spawnOnTier(home, whole, "pipe", env, prefix);
    home.hold("node", { pid: this.pid, startTime: statOf(this.pid)?.startTime ?? "" });
    this.#exited = once(this.child, "close");
    createInterface({ input: this.child.stdout! }).on("line", (line) => this.steps.push(JSON.parse(line) as Step));
    this.child.stderr?.on("data", (chunk: Buffer) => {
      this.stderr += chunk.toString();
    });
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get record(): { front: { pid: number }; guardian: { pid: number }; node: string } {
    return JSON.parse(readFileSync(join(this.home.stateDir, "keeper.json"), "utf8")) as NodeProcess["record"];
  }

  /** Waits for the `count`th step of that phase, and returns it. */
  async reaches(phase: NodeProgress["phase"], count = 1): Promise<Step> {
    const look = () => this.steps.filter((step) => step.phase === phase)[count - 1];
    return until(`the node is ${phase}`, look, { boundMs, everyMs: 5 }).catch((cause: unknown) => {
      throw new Error(`${JSON.stringify(this.steps, null, 1)}\n${this.stderr}`, { cause });
    });
  }

  /** Its exit code, or the signal that ended it. */
  async ended(): Promise<number | string | null> {
    const late = setTimeout(() => this.child.kill("SIGKILL"), boundMs);
    await this.#exited.finally(() => clearTimeout(late));
    return this.child.exitCode ?? this.child.signalCode;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.child.exitCode === null && this.child.signalCode === null) this.child.kill("SIGTERM");
    await this.ended();
    if (this.#ownHome) await this.home[Symbol.asyncDispose]();
  }
}
