/** Holdfast's own processes as their owner sees them. */
import type { Duplex, Readable } from "node:stream";
import type { MainExit, PoliteRequest, ProcessRef } from "./process.ts";

/** How a helper ended. `refused`: the reason why the operating system did not start it. */
export interface HelperExit extends MainExit {
  readonly refused: string | null;
}

/** Outcome and output of a program that was tried. */
export interface Attempt extends HelperExit {
  readonly stderr: string;
}

/** A process of Holdfast's own, outside every container: a front, a watchdog. */
export interface Helper {
  /** 0 when the operating system refuses to start it; `exit` has the reason. */
  readonly pid: number;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Never rejects. */
  readonly exit: Promise<HelperExit>;
  /** Whether it is still running. */
  readonly isRunning: boolean;
  signal(request: PoliteRequest | "kill"): void;
}

/** The guardian of one epoch: ends everything of it once the keeper is gone. */
export interface Watchdog extends Helper {
  /** Resolves when it is on watch. Never settles when it ends before that. */
  readonly ready: Promise<void>;
  /** Names a front, which must not outlive the keeper either. */
  guard(front: ProcessRef): void;
  /** Releases it without ending anything, at an orderly stop. */
  dismiss(): void;
}

export interface FrontRequest {
  /** The module to run. */
  readonly entry: string;
  /** The only directory that it may write to. */
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
  /** Descriptor of the extra pipe in the front. */
  readonly dataDescriptor: number;
}

/** A front as its keeper sees it: Node denies it child processes, workers and addons. */
export interface FrontLink extends Helper {
  readonly data: Duplex;
  /** Drops the message when the front is gone: its exit reports that. */
  send(message: object): void;
  onMessage(hear: (message: unknown) => void): void;
}
