/**
 * Messages between a gateway and a node over one WebSocket (path `/node`, subprotocol `holdfast.node.v1`), a JSON text frame
 * each. Neither side trusts the other: what does not fit its schema ends the connection.
 */
import { z } from "zod";
import { backgroundRequests, requestedRunShape } from "../background.ts";
import { errorCodeShape, readAs, requestIdShape, shortText, type Read, type Requests } from "../shapes.ts";

export const nodePath = "/node";
export const subprotocol = "holdfast.node.v1";
/** Largest frame either way, in bytes; and until the node has proven itself. */
export const frameBytesMax = 1024 * 1024;
export const unprovenFrameBytesMax = 8 * 1024;
/** How often the gateway asks for a beat, unless its welcome says otherwise, in milliseconds. */
export const defaultBeatMs = 2000;

const id = z.int().min(1);
const message = z.string().max(8192);
const hex = (characters: number) => z.string().regex(new RegExp(`^[0-9a-f]{${characters}}$`));
/** Bytes in base64url without padding; 32 bytes are 43 characters, 64 are 86. */
const base64url = (characters: number) => z.string().regex(new RegExp(`^[A-Za-z0-9_-]{${characters}}$`));
const nodeIdShape = hex(32);
export const nodeNameShape = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/,
    "is letters, digits, - and _, at most 64, and begins with a letter or digit",
  );
const positiveMs = z.int().min(1).max(2_147_483_647);

/**
 * What a gateway asks of a node. `run` is everywhere the request id, which is the gateway's own run id; the node's front puts
 * its keeper's id in its place, and the request id back into every run that it tells.
 */
export const nodeRequests = {
  /** With a request id, or it could not be asked again, and a lease, so that nothing runs for a gateway that is gone. */
  "exec.start": {
    ...backgroundRequests["exec.start"],
    params: backgroundRequests["exec.start"].params.extend({ request: requestIdShape, leaseMs: positiveMs }),
  },
  "exec.read": backgroundRequests["exec.read"],
  "exec.write": backgroundRequests["exec.write"],
  "exec.resize": backgroundRequests["exec.resize"],
  "exec.signal": backgroundRequests["exec.signal"],
  "exec.end": backgroundRequests["exec.end"],
  "exec.wait": backgroundRequests["exec.wait"],
  "exec.outcome": backgroundRequests["exec.outcome"],
  /** Only runs of this gateway have `background.request`. */
  "run.list": backgroundRequests["run.list"],
  /** The heartbeat: to the node's keeper and back. Every run may live its whole lease from then on. `leaseMs` is told for logs; a run's lease is in its start. */
  "lease.renew": { params: z.strictObject({ leaseMs: positiveMs }), result: z.strictObject({ runs: z.int().min(0) }) },
};
export type NodeRequests = Requests<typeof nodeRequests>;
export type NodeRequestName = keyof NodeRequests;
export type NodeAsk = {
  [N in NodeRequestName]: { type: "ask"; id: number; name: N; params: NodeRequests[N]["params"] };
}[NodeRequestName];

const asks = Object.entries(nodeRequests).map(([name, { params }]) =>
  z.strictObject({ type: z.literal("ask"), id, name: z.literal(name), params }),
);

/** Why a node may not come in, so that it is no use to try again at once. */
const refusalCodes = [
  "node_rejected",
  "node_revoked",
  "node_duplicate",
  "invite_invalid",
  "proof_invalid",
  "version_unsupported",
] as const;
export type RefusalCode = (typeof refusalCodes)[number];

const gatewayNotices = z.discriminatedUnion("type", [
  /** `nonce`: 32 random bytes, good for this connection; `gateway`: its id; `version`: of Holdfast. */
  z.strictObject({
    type: z.literal("challenge"),
    nonce: base64url(43),
    gateway: z.string().regex(/^[0-9a-f]{8,64}$/),
    version: shortText,
  }),
  /** Known now, but an admin has to approve; welcome follows on this connection. */
  z.strictObject({ type: z.literal("pending"), node: nodeIdShape }),
  z.strictObject({
    type: z.literal("welcome"),
    node: nodeIdShape,
    name: nodeNameShape,
    leaseMs: positiveMs,
    beatMs: positiveMs,
  }),
  z.strictObject({ type: z.literal("refused"), code: z.enum(refusalCodes), message }),
]);
export const gatewayMessage = z.discriminatedUnion("type", [
  ...gatewayNotices.options,
  z.discriminatedUnion("name", [asks[0]!, ...asks.slice(1)]),
]);
/** What the gateway says. */
export type GatewayMessage = z.infer<typeof gatewayNotices> | NodeAsk;

/** What a node says about the machine that it is; for people, nothing is decided by it. */
const aboutShape = z.strictObject({
  version: shortText,
  platform: shortText,
  arch: shortText,
  tier: shortText,
  hostname: shortText,
});
export type NodeAbout = z.infer<typeof aboutShape>;

export const nodeMessage = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("prove"),
    /** Ed25519, the raw 32 bytes. */
    publicKey: base64url(43),
    /** Random per life of the node's keeper. */
    instance: hex(16),
    name: nodeNameShape,
    invite: z.string().min(1).max(256).nullable(),
    /** It takes one run and ends. */
    once: z.boolean(),
    about: aboutShape,
    /** Over `signedText`. */
    signature: base64url(86),
  }),
  /**
   * At once after each welcome: all live runs of this gateway and the newest ended ones. More than one frame when they are many:
   * what the gateway has to compare is complete with the one that has `more: false`.
   */
  z.strictObject({ type: z.literal("runs"), runs: z.array(requestedRunShape), more: z.boolean() }),
  z.strictObject({ type: z.literal("reply"), id, result: z.unknown() }),
  z.strictObject({ type: z.literal("refusal"), id, code: errorCodeShape, message }),
  /** A run has changed: its state, or that its command has ended. */
  requestedRunShape.extend({ type: z.literal("state") }),
]);
/** What the node says. */
export type NodeMessage = z.infer<typeof nodeMessage>;

/** For the node: a frame of its gateway. */
export function readGatewayMessage(frame: string): Read<GatewayMessage> {
  return readFrame(gatewayMessage, frame);
}

/** For the gateway: a frame of a node. */
export function readNodeMessage(frame: string): Read<NodeMessage> {
  return readFrame(nodeMessage, frame);
}

function readFrame<M>(shape: z.ZodType, frame: string): Read<M> {
  let heard: unknown;
  try {
    heard = JSON.parse(frame);
  } catch {
    return { wrong: "not JSON" };
  }
  return readAs(shape, heard);
}
