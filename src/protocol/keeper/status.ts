/** What the keeper tells of itself for `status` and for metrics. */
import type { CrashView, RunKind, RunState } from "./messages.ts";

/** A process that the keeper keeps alive. */
export interface HelperStatus {
  /** 0 = none lives at this moment. */
  pid: number;
  rssBytes: number;
  restarts: number;
  state: "idle" | "starting" | "serving" | "draining" | "gone";
  /** Why the operating system started none the last time; null = it did. */
  problem: string | null;
}

/** What the keeper adds to `status`. */
export interface KeeperStatus {
  version: string;
  tier: string;
  epoch: number;
  keeper: { pid: number; rssBytes: number };
  front: HelperStatus;
  guardian: HelperStatus;
  runs: number;
  /** Far sides that were used in this life, or are owed a look. */
  hosts: { host: string; tier: string | null; connections: number; runs: number; sweeping: boolean }[];
  orphansSwept: number;
  /** What the start found and ended, by words of the log. */
  reconciled: string[];
  crashes: CrashView[];
  startedAt: number;
}

/** What the keeper adds to metrics. */
export interface KeeperFigures {
  /** Live runs. */
  runs: { kind: RunKind; state: RunState; count: number }[];
  /** Ended runs of this epoch, by end reason. */
  ends: { reason: string; count: number }[];
  /** The longest that the keeper's loop was late since this was asked last, in milliseconds. */
  lagMs: number;
  /** Its open descriptors. */
  descriptors: number;
}
