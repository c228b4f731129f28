/**
 * The life of one connection, from the challenge to its end:
 *
 *   challenged → proven → (pending) → welcome → … → closed
 *                   └────────┴─→ refused → closed
 *
 * Every state before the welcome except pending has a deadline; pending and welcome depend on heartbeats.
 */
import { hostname } from "node:os";
import type { WebSocket } from "ws";
import { defaultBeatMs, type GatewayMessage, type NodeAsk } from "../../protocol/node/messages.ts";
import type { Clock, Timer } from "../../clock.ts";
import { systemName } from "../../platform/self/index.ts";
import { HoldfastError } from "../../errors.ts";
import type { NodeSettings } from "../../protocol/keeper/node.ts";
import type { NodeKey } from "./key.ts";
import { digestOf, type PinFile } from "./pin.ts";
import { Wire } from "./wire.ts";

export interface GatewayConnectionParts {
  clock: Clock;
  settings: NodeSettings;
  version: string;
  epoch: number;
  key: NodeKey;
  pins: PinFile;
  /** From the connection to the gateway's decision. */
  provenMs: number;
  onPending: (node: string) => void;
  onWelcome: (wire: Wire, welcome: Extract<GatewayMessage, { type: "welcome" }>) => void;
  onAsk: (ask: NodeAsk, wire: Wire) => void;
}

/** How a connection ended. */
export interface ConnectionEnd {
  why: string;
  wasWelcome: boolean;
  /** Why the gateway, or our pin, refuses; retries are pointless. */
  refusal: HoldfastError | undefined;
}

export class GatewayConnection {
  readonly wire: Wire;
  readonly #parts: GatewayConnectionParts;
  readonly #fingerprint: string;
  readonly #ended = Promise.withResolvers<ConnectionEnd>();
  #state: "connected" | "proven" | "pending" | "welcome" = "connected";
  #gateway = "";
  #refusal: HoldfastError | undefined;
  readonly #late: Timer;

  constructor(socket: WebSocket, fingerprint: string, parts: GatewayConnectionParts) {
    this.#parts = parts;
    this.#fingerprint = fingerprint;
    const late = () => this.wire.drop(`it did not say within ${parts.provenMs} ms whether it takes this node`);
    this.#late = parts.clock.after(parts.provenMs, late);
    this.wire = new Wire(socket, parts.clock, {
      onWord: (word) => this.#hear(word),
      onClosed: (why) => {
        this.#late.clear();
        this.#ended.resolve({ why, wasWelcome: this.#state === "welcome", refusal: this.#refusal });
      },
    });
  }

  /** Resolves when the connection is gone. */
  get ended(): Promise<ConnectionEnd> {
    return this.#ended.promise;
  }

  #hear(word: GatewayMessage): void {
    const { wire } = this;
    switch (word.type) {
      case "challenge":
        if (this.#state !== "connected") break;
        return this.#prove(word);
      case "pending":
        if (this.#state !== "proven") break;
        this.#settle("pending");
        return this.#parts.onPending(word.node);
      case "welcome":
        if (this.#state !== "proven" && this.#state !== "pending") break;
        return this.#welcome(word);
      case "refused":
        if (this.#state === "connected") break;
        this.#refusal = new HoldfastError(word.code, `the gateway refuses this node: ${word.message}`);
        return wire.end(`it refused this node (${word.code})`);
      case "ask":
        if (this.#state !== "welcome") break;
        return this.#parts.onAsk(word, wire);
    }
    wire.drop(`it said ${word.type} while the connection was ${this.#state}`);
  }

  #prove({ nonce, gateway }: Extract<GatewayMessage, { type: "challenge" }>): void {
    const { settings, key, version, pins } = this.#parts;
    const { pin } = pins;
    if (pin !== undefined && pin.gateway !== gateway) {
      const message = `the gateway there is ${gateway}, and this node serves ${pin.gateway}; to serve another one from now on start once with --forget-gateway`;
      this.#refusal = new HoldfastError("gateway_other", message);
      return this.wire.end("it is another gateway");
    }
    const { instance, name, once, tier } = settings;
    // An invitation is valid once: a used one is not sent again.
    const isUsed = settings.invite !== null && pin?.invite === digestOf(settings.invite);
    const invite = isUsed ? null : settings.invite;
    const { publicKey } = key;
    const facts = { nonce, gateway, fingerprint: this.#fingerprint, publicKey, instance, name, invite, once };
    const about = { version, platform: systemName, arch: process.arch, tier, hostname: hostname().slice(0, 256) };
    this.#gateway = gateway;
    this.#state = "proven";
    this.wire.send({ type: "prove", publicKey, instance, name, invite, once, about, signature: key.prove(facts) });
  }

  #welcome(word: Extract<GatewayMessage, { type: "welcome" }>): void {
    const { pins, epoch, settings } = this.#parts;
    const used = settings.invite === null ? null : digestOf(settings.invite);
    const before = pins.pin;
    const whom = { gateway: this.#gateway, fingerprint: this.#fingerprint };
    try {
      pins.keep({ ...whom, epoch: before?.epoch ?? epoch, invite: used ?? before?.invite ?? null });
    } catch (thrown) {
      // This node must not serve a gateway other than the pinned one.
      return this.wire.drop(
        `this node cannot write down which gateway it serves (${String(thrown)}); make room for it`,
      );
    }
    this.wire.isWelcome = true;
    this.#settle("welcome", word.beatMs);
    this.#parts.onWelcome(this.wire, word);
  }

  #settle(state: "pending" | "welcome", beatMs = defaultBeatMs): void {
    this.#late.clear();
    this.#state = state;
    this.wire.expectHeartbeats(beatMs);
  }
}
