/** A gateway and its nodes on machines of their own, for faults: what runs there, and what both sides have on record. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { RunView } from "../../../src/protocol/run.ts";
import { Gateway } from "../../helpers/gateway.ts";
import { Home } from "../../helpers/home.ts";
import { survivorsOf, waitForListed, waitForZero } from "../../helpers/pids.ts";
import { fixture } from "../../helpers/servers.ts";
import { bestTier } from "../../helpers/tiers.ts";
import { until } from "../../helpers/until.ts";
import { isHere, joinNode } from "./join-node.ts";
import { Network, type FarHost } from "./network.ts";
import type { NodeGiven, NodeProcess } from "./node-process.ts";

export const boundMs = 20_000;
/** Where runs are to end by it. */
export const shortLeaseMs = 2500;
/** Where they are to go on: longer than a busy machine takes to start a process anew. */
const longLeaseMs = 15_000;
/** Both sides are right at last so long after the lease. */
export const agreeMs = 2000;
export const stop = { stdinGraceMs: 200, termGraceMs: 300 };
/** Eight processes, six of them hidden, that ignore what can be ignored. */
const crowd = 8;

export interface RecordRow {
  state: string;
  endReason: string | null;
  exitCode: number | null;
  signal: string | null;
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

let starts: Promise<unknown> = Promise.resolve();

export class Place implements AsyncDisposable {
  readonly home = new Home(bestTier());
  readonly network: Network | undefined;
  gateway!: Gateway;
  readonly #nodes: FarNode[] = [];

  /** `wires`: its nodes are on other hosts, behind wires of their own; else on this one. */
  static async make({ wires = false, leaseMs = longLeaseMs, flags = [] as string[] } = {}): Promise<Place> {
    const place = new Place(wires ? new Network() : undefined);
    const bind = ["127.0.0.1", ...(place.network === undefined ? [] : [place.network.address])];
    place.home.configure({ bind, port: await freePort(), nodes: { leaseMs, beatMs: 200 }, stop });
    await place.start(flags);
    return place;
  }

  private constructor(network: Network | undefined) {
    this.network = network;
  }

  async start(flags: string[] = []): Promise<void> {
    this.gateway = await Gateway.start(this.home, flags);
  }

  async node(name: string, given: NodeGiven = {}): Promise<FarNode> {
    const host = await this.network?.host();
    const { port } = new URL(this.gateway.url);
    const { fingerprint } = (await this.gateway.rpc("node.invite")) as { fingerprint: string };
    const words = fingerprint === "" ? [] : ["--fingerprint", fingerprint];
    const scheme = fingerprint === "" ? "http" : "https";
    const url = `${scheme}://${this.network?.address ?? "127.0.0.1"}:${port}`;
    const whole = { ...given, url, words, prefix: host?.prefix ?? [], ownsHome: false, config: { stop } };
    const node = new FarNode(this, name, whole, host);
    await node.start();
    this.#nodes.push(node);
    return node;
  }

  async records(): Promise<RunView[]> {
    return (await this.gateway.rpc("run.list", { all: true })) as RunView[];
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      for (const node of this.#nodes) await node.end();
      await this.gateway.stop();
    } finally {
      await this.network?.[Symbol.asyncDispose]();
      for (const node of this.#nodes) await node.process.home[Symbol.asyncDispose]();
      await this.home[Symbol.asyncDispose]();
    }
  }
}

/** One node and what is started on it. */
export class FarNode {
  readonly name: string;
  readonly host: FarHost | undefined;
  process!: NodeProcess;
  readonly #place: Place;
  readonly #given: NodeGiven;

  constructor(place: Place, name: string, given: NodeGiven, host: FarHost | undefined) {
    this.name = name;
    this.host = host;
    this.#place = place;
    this.#given = given;
  }

  /** For the first time, or again with the same state directory. */
  async start(): Promise<void> {
    const again = (this.process as NodeProcess | undefined)?.home;
    const given = again === undefined ? this.#given : { ...this.#given, home: again };
    // Not all at once: each is a handful of processes, and a busy machine would start none of them in time.
    const before = starts;
    const started = before.then(() => joinNode(this.#place.gateway, this.name, given));
    starts = started.catch(() => {}); // told to its own caller
    this.process = await started;
  }

  get pidFile(): string {
    return this.process.home.pidFile;
  }

  /** Guardian, keeper, front. */
  get pids(): { guardian: number; keeper: number; front: number } {
    const { front, guardian } = this.process.record;
    return { guardian: guardian.pid, keeper: this.process.pid, front: front.pid };
  }

  isHere(here = true): Promise<void> {
    return isHere(this.#place.gateway, this.name, here);
  }

  async run(argv: string[]): Promise<string> {
    const params = { host: this.name, argv, cwd: "/" };
    const { id } = (await this.#place.gateway.rpc("run.start", params)) as RunView;
    return id;
  }

  /** A run that has to be killed, whole. */
  async crowd(): Promise<string> {
    const id = await this.run(["bash", fixture("worker.sh"), this.pidFile, "quiet"]);
    await waitForListed(this.pidFile, crowd, boundMs);
    assert.equal(survivorsOf(this.pidFile).length, crowd);
    return id;
  }

  /** A run that counts to `count` in at least so many centiseconds and exits with 7; resolves with its id and all that anybody hears of it. */
  async count(count: number): Promise<{ id: string; heard: Promise<string> }> {
    const line = `i=0; while [ $i -lt ${count} ]; do echo $i; i=$((i+1)); sleep 0.01; done; exit 7`;
    const id = await this.run(["sh", fixture("record.sh"), this.pidFile, "counter", "sh", "-c", line]);
    return { id, heard: this.#hear(id) };
  }

  /** Pulls by offset as a client does, and asks again when nobody answers. */
  async #hear(id: string): Promise<string> {
    let text = "";
    const deadline = performance.now() + 2 * boundMs;
    for (;;) {
      assert.ok(performance.now() < deadline, `run ${id} is never over`);
      const params = { id, offset: text.length, waitMs: 2000 };
      const piece = (await this.#place.gateway.rpc("run.log", params).catch((error: unknown) => {
        if (/ECONN|socket hang up|gateway is stopping|aborted|HTTP 503/i.test(String(error))) return undefined;
        throw error;
      })) as { run: RunView; offset: number; bytes: string; printed: number } | undefined;
      if (piece === undefined) {
        await new Promise((resolve) => setTimeout(resolve, 50));
        continue;
      }
      assert.equal(piece.offset, text.length, "no gap");
      text += Buffer.from(piece.bytes, "base64").toString("latin1");
      if (piece.run.state === "exited" && text.length >= piece.printed) return text;
    }
  }

  /** Nothing of it lives any more, `withinMs` from now on at the latest. */
  async isEmpty(withinMs: number): Promise<void> {
    await waitForZero(this.pidFile, withinMs);
  }

  /** The gateway's record of it is so, `withinMs` from now on at the latest. */
  async gatewaySays(id: string, want: string, withinMs: number): Promise<RunView> {
    let seen = "";
    const look = async () => {
      const run = (await this.#place.records()).find((each) => each.id === id);
      seen = `${run?.state} ${run?.endReason}`;
      return seen === want ? run : undefined;
    };
    return until(`${want} as the gateway's record`, look, { boundMs: withinMs, everyMs: 20 }).catch(
      (cause: unknown) => {
        throw new Error(`the record says ${seen}, not ${want}; ${this.process.stderr}`, { cause });
      },
    );
  }

  /** The end that both sides have on record is this one. Ends the node, since its ledger is its keeper's alone. */
  async bothSay(id: string, want: string): Promise<void> {
    const { state, endReason, exitCode, signal } = await this.gatewaySays(id, `exited ${want}`, boundMs);
    await this.end();
    const ledger = new DatabaseSync(join(this.process.home.stateDir, "ledger.sqlite"), { readOnly: true });
    const columns = "state, end_reason as endReason, exit_code as exitCode, signal";
    const row = ledger.prepare(`select ${columns} from runs where request_id = ?`).get(id);
    ledger.close();
    assert.deepEqual({ ...row }, { state, endReason, exitCode, signal } satisfies RecordRow);
  }

  async end(): Promise<void> {
    await this.process[Symbol.asyncDispose]();
  }
}

export const counted = (count: number): string => Array.from({ length: count }, (_, index) => `${index}\n`).join("");
