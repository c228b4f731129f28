/**
 * One connection of a prospective node, from the challenge to its end.
 *
 *   challenged ──prove──▶ pending ──approved──▶ welcome ──runs──▶ here
 *        │                   │                     │                │
 *        └──────────────── refused, or its end ◀───┴────────────────┘
 */
import {
  readNodeMessage,
  type GatewayMessage,
  type NodeMessage,
  type RefusalCode,
} from "../../protocol/node/messages.ts";
import type { RequestedRun } from "../../protocol/background.ts";
import type { Sources } from "../../random.ts";
import type { Timer } from "../../clock.ts";
import { asHoldfastError } from "../../errors.ts";
import { isProven, nodeIdOf } from "../../protocol/node/proof.ts";
import type { NodeLink } from "./link.ts";
import type { Applicant } from "./node-registry.ts";
import type { NodeWire, WireEnd } from "./wire.ts";

/** Most runs, live or ended, that a connecting node may report. */
const runsToldMax = 10_000;
/** Most characters in that report; nodes shorten the commands, which are on record here. */
const runsToldCharactersMax = 32 * 1024 * 1024;

export interface HandshakeParts extends Sources {
  gatewayId: string;
  version: string;
  /** SHA-256 of our certificate, hex; "" without TLS. */
  fingerprint: string;
  /** It proved its identity. The caller answers with `wait`, `welcome` or `refuse`. */
  onProven: (handshake: Handshake) => void;
  /** It reported its runs. Throws a message for the log when the report is impossible. */
  onRuns: (handshake: Handshake, runs: RequestedRun[]) => void;
  onState: (handshake: Handshake, state: RequestedRun) => void;
  onFault: (handshake: Handshake, what: string) => void;
  /** Called once, as soon as the connection begins to end. */
  onOver: (handshake: Handshake, why: string) => void;
}

/** A proven identity. */
export interface Proven extends Applicant {
  instance: string;
  once: boolean;
}

export class Handshake {
  readonly wire: NodeWire;
  proven: Proven | undefined;
  link: NodeLink | undefined;
  readonly #parts: HandshakeParts;
  readonly #nonce: string;
  #isOver = false;
  /** The runs reported so far; undefined once the report is complete. */
  #toldRuns: RequestedRun[] | undefined = [];
  #newerChanges: RequestedRun[] = [];
  #toldCharacters = 0;
  #untold: Timer | undefined;

  constructor(wire: NodeWire, parts: HandshakeParts) {
    this.wire = wire;
    this.#parts = parts;
    this.#nonce = parts.random.bytes(32).toString("base64url");
  }

  get over(): boolean {
    return this.#isOver;
  }

  begin(): void {
    const { gatewayId: gateway, version } = this.#parts;
    this.#say({ type: "challenge", nonce: this.#nonce, gateway, version });
  }

  hear(text: string): void {
    if (this.#isOver) return;
    try {
      if (this.link !== undefined && this.#toldRuns !== undefined) this.#countTold(text.length);
      const heard = readNodeMessage(text);
      if ("wrong" in heard) throw new Error(heard.wrong);
      this.#hear(heard.message);
    } catch (thrown) {
      this.#fault(thrown instanceof Error ? thrown.message : String(thrown));
    }
  }

  /** An unknown peer is not told what it did wrong; the log has it. */
  #fault(what: string): void {
    this.#parts.onFault(this, what);
    this.end("protocol-error", "not as it was agreed");
  }

  wait(): void {
    this.#say({ type: "pending", node: this.proven?.id ?? "" });
  }

  welcome(link: NodeLink, name: string, times: { leaseMs: number; beatMs: number }): void {
    this.link = link;
    this.#say({ type: "welcome", node: this.proven?.id ?? "", name, ...times });
    // Callers that need the node wait for this report.
    const late = () => this.#fault(`it did not tell what it runs within ${times.leaseMs} ms`);
    this.#untold = this.#parts.clock.after(times.leaseMs, late);
  }

  refuse(code: RefusalCode, message: string, reason: WireEnd = "unauthorized"): void {
    if (this.#isOver) return;
    this.#say({ type: "refused", code, message });
    this.end(reason, code);
  }

  end(reason: WireEnd, message: string): void {
    if (this.#isOver) return;
    this.gone(reason);
    this.wire.end(reason, message);
  }

  /** The wire is closed or closing: further messages are ignored. */
  gone(why: string): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#untold?.clear();
    this.link?.lose();
    this.#parts.onOver(this, why);
  }

  #hear(message: NodeMessage): void {
    if (this.proven === undefined) {
      if (message.type !== "prove") throw new Error(`${message.type} before the proof`);
      return this.#prove(message);
    }
    const { link } = this;
    if (link === undefined) throw new Error(`${message.type} of a node that is not approved`);
    if (message.type === "reply" || message.type === "refusal") return link.answered(message);
    if (message.type === "prove") throw new Error("a second proof");
    if (message.type === "runs") return this.#takeRuns(message);
    if (this.#toldRuns === undefined) return this.#parts.onState(this, message);
    // Newer than the report to come.
    this.#newerChanges.push({ request: message.request, run: message.run });
    this.#checkTold();
  }

  #takeRuns({ runs, more }: Extract<NodeMessage, { type: "runs" }>): void {
    if (this.#toldRuns === undefined) throw new Error("runs a second time");
    this.#toldRuns.push(...runs);
    this.#checkTold();
    if (more) return;
    const told = [...this.#toldRuns, ...this.#newerChanges];
    this.#toldRuns = undefined;
    this.#untold?.clear();
    this.#newerChanges = [];
    this.#parts.onRuns(this, told);
  }

  #countTold(characters: number): void {
    this.#toldCharacters += characters;
    if (this.#toldCharacters > runsToldCharactersMax)
      throw new Error(`it tells of its runs in more than ${runsToldCharactersMax} characters`);
  }

  #checkTold(): void {
    const told = (this.#toldRuns?.length ?? 0) + this.#newerChanges.length;
    if (told > runsToldMax) throw new Error(`it tells of more than ${runsToldMax} runs`);
  }

  #prove(message: Extract<NodeMessage, { type: "prove" }>): void {
    const { publicKey, instance, name, invite, once, about } = message;
    const { gatewayId: gateway, fingerprint } = this.#parts;
    if (!isProven({ ...message, nonce: this.#nonce, gateway, fingerprint }, message.signature)) {
      const remedy =
        "the signature is not that key's over this connection's challenge; is something between node and gateway that ends TLS?";
      return this.refuse("proof_invalid", remedy);
    }
    this.proven = { id: nodeIdOf(publicKey), publicKey, name, about, invite, instance, once };
    this.wire.proven();
    try {
      this.#parts.onProven(this);
    } catch (thrown) {
      const { code, message: why } = asHoldfastError(thrown);
      if (code === "invite_invalid") return this.refuse(code, why);
      throw thrown;
    }
  }

  #say(message: GatewayMessage): void {
    this.wire.send(JSON.stringify(message));
  }
}
