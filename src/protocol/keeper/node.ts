/** A node's front and its keeper: what the front is told to dial, and what it tells of its way for the person at the terminal. */
import type { ErrorCode } from "../../errors.ts";

/** Times are milliseconds. */
export interface NodeSettings {
  /** Of the gateway. */
  host: string;
  port: number;
  /** SHA-256 of the gateway's certificate, lower-case hex; null = the one that was pinned before, or what the system trusts. */
  fingerprint: string | null;
  /** First 32 hex characters of SHA-256 over the public key. */
  id: string;
  name: string;
  invite: string | null;
  /** Take one run, return its result, end. */
  once: boolean;
  /** 16 hex characters, new with each life of the keeper. */
  instance: string;
  tier: string;
  /** PEM of the private key, its user's alone. */
  keyFile: string;
  /** For one attempt; with `once` for all of them until the gateway knows the node. */
  connectMs: number;
  /** With `once`: how long an admin has to approve, a run to come, and the gateway to take the result. */
  approvalMs: number;
  invocationMs: number;
  acknowledgeMs: number;
}

export const nodePhases = [
  "connecting",
  "pending", // an admin of the gateway has to approve
  "connected",
  "lost", // and it will be tried again
  "started", // a run
  "refused", // a run
  "ended", // a run
] as const;

/** One step on the node's way. `text` may hold what a gateway said: whoever prints it takes control characters out. */
export interface NodeProgress {
  phase: (typeof nodePhases)[number];
  text: string;
  data: Record<string, string | number | null>;
}

/** The node's way is at its end: with the code of the one run (`once`), or with what makes it no use to go on. */
export interface NodeFinish {
  exitCode: number | null;
  failure: { code: ErrorCode; message: string } | null;
}
