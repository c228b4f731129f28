/** A node's front and its keeper: what the front is told to dial, and the progress it reports to the person at the terminal. */
import { z } from "zod";
import { errorCodeShape } from "../shapes.ts";

/** Times are milliseconds. */
export const nodeSettingsShape = z.strictObject({
  /** Of the gateway. */
  host: z.string(),
  port: z.int(),
  /** SHA-256 of the gateway's certificate, lower-case hex; null = the one that was pinned before, or what the system trusts. */
  fingerprint: z.string().nullable(),
  /** First 32 hex characters of SHA-256 over the public key. */
  id: z.string(),
  name: z.string(),
  invite: z.string().nullable(),
  /** Take one run, return its result, end. */
  once: z.boolean(),
  /** 16 hex characters, new with each life of the keeper. */
  instance: z.string(),
  tier: z.string(),
  /** PEM of the private key, its user's alone. */
  keyFile: z.string(),
  /** For one attempt; with `once` for all of them until the gateway knows the node. */
  connectMs: z.number(),
  /** With `once`: how long an admin has to approve, a run to come, and the gateway to take the result. */
  approvalMs: z.number(),
  invocationMs: z.number(),
  acknowledgeMs: z.number(),
});
export type NodeSettings = z.infer<typeof nodeSettingsShape>;

const phases = [
  "connecting",
  "pending", // an admin of the gateway has to approve
  "connected",
  "lost", // and it will be tried again
  "started", // a run
  "refused", // a run
  "ended", // a run
] as const;

/** `text` may hold what a gateway said: print it without control characters. */
export const nodeProgressShape = z.strictObject({
  phase: z.enum(phases),
  text: z.string().max(16_384),
  data: z.record(z.string().max(64), z.union([z.string().max(16_384), z.number(), z.null()])),
});
export type NodeProgress = z.infer<typeof nodeProgressShape>;

/** The node is done: with the code of its one run (`once`), or with why it cannot go on. */
export const nodeFinishShape = z.strictObject({
  exitCode: z.int().min(0).max(255).nullable(),
  failure: z.strictObject({ code: errorCodeShape, message: z.string().max(16_384) }).nullable(),
});
export type NodeFinish = z.infer<typeof nodeFinishShape>;
