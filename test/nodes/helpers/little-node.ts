/** A node of a few lines, written from the contract alone: it proves a key, and answers what the test has it answer. */
import { sign } from "node:crypto";
import { WebSocket, type ClientOptions } from "ws";
import type { RunView } from "../../../src/protocol/run.ts";
import type { GatewayMessage, NodeAsk, NodeMessage } from "../../../src/protocol/node/messages.ts";
import { signedText, type SignedFacts } from "../../../src/protocol/node/proof.ts";
import { until } from "../../helpers/until.ts";
import type { Key } from "./told.ts";

const boundMs = 10_000;

/** What a node without runs answers to questions that no test is about. */
const usual: Partial<Record<NodeAsk["name"], unknown>> = { "lease.renew": { runs: 0 }, "run.list": [] };

export interface Manners extends ClientOptions {
  name?: string;
  instance?: string;
  invite?: string | null;
  once?: boolean;
  fingerprint?: string;
  /** Told with the proof in place of what was signed. */
  lie?: Partial<Extract<NodeMessage, { type: "prove" }>>;
  /** Runs that it has; undefined = it tells none. */
  runs?: { request: string; run: RunView }[];
  /** An answer to an ask; undefined = none at all. Beats are answered by default. */
  answer?: (ask: NodeAsk) => unknown;
  /** Asks that it leaves without an answer. */
  silentTo?: NodeAsk["name"][];
}

export class LittleNode implements AsyncDisposable {
  readonly ws: WebSocket;
  readonly heard: GatewayMessage[] = [];
  readonly closed: Promise<number>;
  readonly key: Key;
  #code: number | undefined;

  constructor(url: string, key: Key, manners: Manners = {}) {
    this.key = key;
    this.ws = new WebSocket(`${url.replace("http", "ws")}/node`, ["holdfast.node.v1"], manners);
    this.ws.on("error", () => {}); // "close" follows and tells
    this.ws.on("message", (data: Buffer) => {
      const word = JSON.parse(data.toString()) as GatewayMessage;
      this.heard.push(word);
      if (word.type === "challenge") this.prove(word, manners);
      if (word.type === "welcome" && manners.runs !== undefined)
        this.say({ type: "runs", runs: manners.runs, more: false });
      if (word.type !== "ask") return;
      if (manners.silentTo?.includes(word.name) === true) return;
      const result = manners.answer?.(word) ?? usual[word.name];
      if (result !== undefined) this.say({ type: "reply", id: word.id, result });
    });
    this.closed = new Promise((resolve) => {
      this.ws.once("close", (code: number) => {
        this.#code = code;
        resolve(code);
      });
    });
  }

  prove({ nonce, gateway }: Extract<GatewayMessage, { type: "challenge" }>, manners: Manners): void {
    const { name = "little", instance = "0123456789abcdef", invite = null, once = false, fingerprint = "" } = manners;
    const { publicKey } = this.key;
    const facts: SignedFacts = { nonce, gateway, fingerprint, publicKey, instance, name, invite, once };
    const about = { version: "0", platform: "linux", arch: "x64", tier: "none", hostname: "little" };
    const signature = sign(null, signedText(facts), this.key.private).toString("base64url");
    this.say({ type: "prove", publicKey, instance, name, invite, once, about, signature, ...manners.lie });
  }

  say(word: NodeMessage | object): void {
    this.ws.send(JSON.stringify(word));
  }

  /** The next word of that type that was not taken yet; throws when the connection ends before it. */
  hears<T extends GatewayMessage["type"]>(type: T): Promise<Extract<GatewayMessage, { type: T }>> {
    return until(
      `the word ${type}`,
      () => {
        const found = this.heard.find((word) => word.type === type);
        if (found !== undefined) return found as Extract<GatewayMessage, { type: T }>;
        if (this.#code !== undefined) throw new Error(`closed with ${this.#code}; heard ${JSON.stringify(this.heard)}`);
        return undefined;
      },
      { boundMs },
    );
  }

  asked(name: NodeAsk["name"]): Promise<NodeAsk> {
    return until(
      `a question ${name}`,
      () => this.heard.find((word): word is NodeAsk => word.type === "ask" && word.name === name),
      { boundMs },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.ws.terminate();
    await this.closed;
  }
}
