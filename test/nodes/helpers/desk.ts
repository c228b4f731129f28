/** A gateway's side of its nodes, all of it, on a clock moved by hand: and peers that say and answer what a test wants. */
import { sign } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemRandom } from "../../../src/random.ts";
import { Nodes } from "../../../src/nodes/gateway/nodes.ts";
import type { Handshake } from "../../../src/nodes/gateway/handshake.ts";
import type { GatewayMessage, NodeAsk, NodeMessage } from "../../../src/protocol/node/messages.ts";
import { signedText, type SignedFacts } from "../../../src/protocol/node/proof.ts";
import type { RunView } from "../../../src/protocol/run.ts";
import { backgroundSpec } from "../../helpers/background-spec.ts";
import { ManualClock } from "../../helpers/manual-clock.ts";
import { Key, told } from "./told.ts";

export const times = { leaseMs: 30_000, beatMs: 1000, pendingMs: 60_000 };

/** Everything that is under way has come as far as it can without time. */
export async function turns(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise(setImmediate);
}

export class Desk implements Disposable {
  readonly clock = new ManualClock();
  readonly logged: { event: string; fields: Record<string, unknown> }[] = [];
  readonly #directory = mkdtempSync(join(tmpdir(), "holdfast-desk-"));
  nodes: Nodes;

  constructor() {
    this.nodes = this.#open(1);
  }

  #open(epoch: number): Nodes {
    const log = (event: string, fields: object = {}) => void this.logged.push({ event, fields: { ...fields } });
    const { clock } = this;
    const what = { config: times, directory: this.#directory, epoch, version: "0", fingerprint: "" };
    return new Nodes({ clock, random: systemRandom, ...what, log });
  }

  /** The next front; with another epoch, that of another keeper. */
  again(epoch = 1): void {
    this.nodes.close();
    this.nodes = this.#open(epoch);
  }

  faults(): string[] {
    return this.logged.filter(({ event }) => event === "node.fault").map(({ fields }) => String(fields["what"]));
  }

  /** A peer that has proved its key. */
  async meet(manners: Manners = {}): Promise<Peer> {
    const peer = new Peer(this, manners);
    await turns();
    return peer;
  }

  /** A node that an admin approved and that has told its runs. */
  async admit(manners: Manners = {}): Promise<Peer> {
    const peer = await this.meet(manners);
    if (this.nodes.list().find(({ id }) => id === peer.key.id)?.state !== "approved") this.nodes.approve(peer.key.id);
    await turns();
    return peer;
  }

  /** Asks for a run on the node of that name. */
  start(host = "far", more: Parameters<typeof backgroundSpec>[0] = {}): Promise<RunView> {
    return this.nodes.runner.start(backgroundSpec({ host, onFrontLoss: "keep", ...more }));
  }

  /** A run that its node reports as running. */
  async running(peer: Peer, more: Parameters<typeof backgroundSpec>[0] = {}): Promise<string> {
    const starting = this.start(peer.name, more);
    await turns();
    peer.answer("exec.start", ({ request }) => told(request));
    return (await starting).id;
  }

  async shown(id: string): Promise<RunView | undefined> {
    return (await this.nodes.runner.list({ all: true })).find((run) => run.id === id);
  }

  [Symbol.dispose](): void {
    this.nodes.close();
    rmSync(this.#directory, { recursive: true });
  }
}

export interface Manners {
  key?: Key;
  name?: string;
  instance?: string;
  invite?: string | null;
  address?: string;
  once?: boolean;
  /** Told after the welcome; undefined = it tells nothing. */
  runs?: { request: string; run: RunView }[] | null;
  /** It answers no beats. */
  mute?: boolean;
  /** In place of what was signed. */
  lie?: Partial<Extract<NodeMessage, { type: "prove" }>>;
}

type Params<N extends NodeAsk["name"]> = Extract<NodeAsk, { name: N }>["params"];

/** One connection of a node. */
export class Peer {
  readonly key: Key;
  readonly name: string;
  readonly heard: GatewayMessage[] = [];
  #ended: string | undefined;
  mute: boolean;
  readonly #handshake: Handshake;
  readonly #answered = new Set<GatewayMessage>();

  constructor(desk: Desk, manners: Manners) {
    const { key = new Key(), name = "far", address = "peer", mute = false } = manners;
    [this.key, this.name, this.mute] = [key, name, mute];
    const { clock } = desk;
    this.#handshake = desk.nodes.greet({
      address,
      get loopNow() {
        return clock.monotonic();
      },
      send: (text) => this.#hear(JSON.parse(text) as GatewayMessage, manners),
      ready: async () => {},
      proven: () => {},
      end: (reason) => {
        this.#ended ??= reason;
        this.#handshake.gone(reason);
      },
    });
  }

  #hear(message: GatewayMessage, manners: Manners): void {
    this.heard.push(message);
    setImmediate(() => {
      if (message.type === "challenge") this.#prove(message, manners);
      const { runs = [] } = manners;
      if (message.type === "welcome" && runs !== null) this.say({ type: "runs", runs, more: false });
      if (message.type !== "ask" || this.mute) return;
      if (message.name === "lease.renew") this.say({ type: "reply", id: message.id, result: { runs: 0 } });
      if (message.name === "run.list") this.say({ type: "reply", id: message.id, result: [] });
    });
  }

  #prove({ nonce, gateway }: Extract<GatewayMessage, { type: "challenge" }>, manners: Manners): void {
    const { instance = "0123456789abcdef", invite = null, once = false } = manners;
    const { publicKey } = this.key;
    const facts: SignedFacts = { nonce, gateway, fingerprint: "", publicKey, instance, name: this.name, invite, once };
    const about = { version: "0", platform: "linux", arch: "x64", tier: "none", hostname: "far" };
    const signature = sign(null, signedText(facts), this.key.private).toString("base64url");
    this.say({ type: "prove", publicKey, instance, name: this.name, invite, once, about, signature, ...manners.lie });
  }

  say(message: NodeMessage): void {
    this.#handshake.hear(JSON.stringify(message));
  }

  /** Its connection is lost. */
  leave(): void {
    this.#handshake.gone("lost");
  }

  asked<N extends NodeAsk["name"]>(name: N): Params<N>[] {
    return this.heard.flatMap((one) => (one.type === "ask" && one.name === name ? [one.params as Params<N>] : []));
  }

  /** Answers the oldest question of that name that has no answer. */
  answer<N extends NodeAsk["name"]>(name: N, result: (params: Params<N>) => unknown): void {
    const ask = this.#open(name);
    this.say({ type: "reply", id: ask.id, result: result(ask.params as Params<N>) });
  }

  refuse(name: NodeAsk["name"], code: string): void {
    this.say({ type: "refusal", id: this.#open(name).id, code, message: "no" } as NodeMessage);
  }

  #open(name: NodeAsk["name"]): NodeAsk {
    const ask = this.heard.find(
      (one): one is NodeAsk => one.type === "ask" && one.name === name && !this.#answered.has(one),
    );
    if (ask === undefined)
      throw new Error(`no open ${name} among ${this.heard.map((one) => JSON.stringify(one)).join("\n")}`);
    this.#answered.add(ask);
    return ask;
  }

  /** Why the gateway ended its connection. */
  whyEnded(): string | undefined {
    return this.#ended;
  }

  get refusal(): string | undefined {
    return this.heard.flatMap((one) => (one.type === "refused" ? [one.code] : []))[0];
  }

  get welcomes(): number {
    return this.heard.filter(({ type }) => type === "welcome").length;
  }
}
