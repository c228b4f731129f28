/** A node as its gateway treats it, without a node: what it is asked is written down, and answered by the test. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { NodeAsk } from "../../../src/protocol/node/messages.ts";
import type { RunView } from "../../../src/protocol/run.ts";
import { systemRandom, systemSources } from "../../../src/random.ts";
import { openNodesDatabase } from "../../../src/nodes/gateway/database.ts";
import { NodeLink } from "../../../src/nodes/gateway/link.ts";
import { NodeRunner } from "../../../src/nodes/gateway/node-runner.ts";
import { NodeRuns } from "../../../src/nodes/gateway/node-runs.ts";
import { RemoteNode } from "../../../src/nodes/gateway/remote-node.ts";
import { NodesBook } from "../../../src/nodes/gateway/rows.ts";
import type { NodeWire } from "../../../src/nodes/gateway/wire.ts";
import { backgroundSpec } from "../../helpers/background-spec.ts";
import { until } from "../../helpers/until.ts";

const times = { clock: systemSources.clock, leaseMs: 30_000 };

export class FarAway implements Disposable {
  readonly #directory = mkdtempSync(join(tmpdir(), "holdfast-far-"));
  readonly #book = new NodesBook(
    openNodesDatabase(this.#directory, () => {}, systemSources.clock),
    systemRandom,
  );
  readonly runs = new NodeRuns(this.#book, 1, () => {}, systemSources);
  readonly node = new RemoteNode("a".repeat(32), { ...times, runs: this.runs, log: () => {}, name: () => "far" });
  readonly #asked: NodeAsk[] = [];
  readonly #far = new NodeRunner({
    ...times,
    runs: this.runs,
    byName: () => this.node,
    byId: () => this.node,
    systemOf: () => process.platform,
    isApproved: () => true,
  });

  link(): NodeLink {
    const send = (text: string) => void this.#asked.push(JSON.parse(text) as NodeAsk);
    const wire = { loopNow: 0, ready: async () => {}, send } as unknown as NodeWire;
    return new NodeLink(wire, { instance: "i", once: false }, { ...times, beatMs: 1000 }, times.clock);
  }

  come(): NodeLink {
    const link = this.link();
    this.node.arrive(link, []);
    return link;
  }

  leaves(link: NodeLink): void {
    link.lose();
    this.node.leave(link);
  }

  start(): Promise<RunView> {
    return this.#far.start(backgroundSpec({ host: "far" }));
  }

  heard(name: NodeAsk["name"]): NodeAsk[] {
    return this.#asked.filter((ask) => ask.name === name);
  }

  hears(name: NodeAsk["name"], count: number): Promise<NodeAsk[]> {
    return until(`${count} times ${name}`, () => (this.heard(name).length >= count ? this.heard(name) : undefined), {
      boundMs: 5000,
    });
  }

  [Symbol.dispose](): void {
    this.#book.close();
    rmSync(this.#directory, { recursive: true });
  }
}
