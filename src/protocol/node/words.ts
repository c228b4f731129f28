/**
 * The words that a gateway and a node say to each other over one WebSocket (path `/node`, subprotocol `holdfast.node.v1`), a
 * JSON text frame each. Types only; shapes.ts checks what is heard, on both sides.
 */
import type { ErrorCode } from "../../errors.ts";
import type { BackgroundRequests, RequestedRun } from "../keeper/background.ts";
import type { RunView } from "../keeper/messages.ts";

export const nodePath = "/node";
export const subprotocol = "holdfast.node.v1";
/** Largest frame either way, in bytes; and until the node has proven itself. */
export const frameBytesMax = 1024 * 1024;
export const unprovenFrameBytesMax = 8 * 1024;
/** How often the gateway asks for a beat, unless its welcome says otherwise, in milliseconds. */
export const defaultBeatMs = 2000;

/** What a node says about the machine that it is; for people, nothing is decided by it. */
export interface NodeAbout {
  version: string;
  platform: string;
  arch: string;
  tier: string;
  hostname: string;
}

/** Why a node may not come in, so that it is no use to try again at once. */
export const refusalCodes = [
  "node_rejected",
  "node_revoked",
  "node_duplicate",
  "invite_invalid",
  "proof_invalid",
  "version_unsupported",
] as const;
export type RefusalCode = (typeof refusalCodes)[number];

/**
 * What a gateway asks of a node. `run` is everywhere the request id, which is the gateway's own run id; the node's front puts
 * its keeper's id in its place, and the request id back into every run that it tells.
 */
export type NodeRequests = Pick<
  BackgroundRequests,
  "exec.start" | "exec.read" | "exec.write" | "exec.resize" | "exec.signal" | "exec.end" | "exec.wait" | "exec.outcome"
> & {
  /** Live runs with their processes; `all`: the ended ones that the node remembers, too. Only those of this gateway have `background.request`. */
  "run.list": { params: { all: boolean }; result: RunView[] };
  /** The heartbeat: to the node's keeper and back. Every run may live its whole lease from then on. `leaseMs` is told for logs; a run's lease is in its start. */
  "lease.renew": { params: { leaseMs: number }; result: { runs: number } };
};
export type NodeRequestName = keyof NodeRequests;

export type NodeAsk = {
  [N in NodeRequestName]: { type: "ask"; id: number; name: N; params: NodeRequests[N]["params"] };
}[NodeRequestName];

/** What the gateway says. */
export type GatewayWord =
  /** `nonce`: 32 random bytes, base64url, good for this connection; `gateway`: its id, hex; `version`: of Holdfast. */
  | { type: "challenge"; nonce: string; gateway: string; version: string }
  /** Known now, but an admin has to approve; welcome follows on this connection. */
  | { type: "pending"; node: string }
  | { type: "welcome"; node: string; name: string; leaseMs: number; beatMs: number }
  | { type: "refused"; code: RefusalCode; message: string }
  | NodeAsk;

/** What the node says. */
export type NodeWord =
  | {
      type: "prove";
      /** Ed25519, the raw 32 bytes, base64url. */
      publicKey: string;
      /** 16 hex characters, random per life of the node's keeper. */
      instance: string;
      name: string;
      invite: string | null;
      /** It takes one run and ends. */
      once: boolean;
      about: NodeAbout;
      /** Over `signedText`, base64url. */
      signature: string;
    }
  /**
   * At once after each welcome: all live runs of this gateway and the newest ended ones. More than one frame when they are many:
   * what the gateway has to compare is complete with the one that has `more: false`.
   */
  | { type: "runs"; runs: RequestedRun[]; more: boolean }
  | { type: "reply"; id: number; result: unknown }
  | { type: "refusal"; id: number; code: ErrorCode; message: string }
  /** A run has changed: its state, or that its command has ended. */
  | { type: "state"; request: string; run: RunView };
