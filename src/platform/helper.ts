/** Processes of Holdfast's own as their owner holds them. */
import type { Duplex, Readable } from "node:stream";
import type { MainExit, PoliteRequest, ProcessRef } from "./process.ts";

/** How a helper ended. `refused`: the operating system never started it, and why. */
export interface HelperExit extends MainExit {
  readonly refused: string | null;
}

/** How a program that was tried ended, and what it said. */
export interface Attempt extends HelperExit {
  readonly stderr: string;
}

/** A process of Holdfast's own, outside every container: a front, a watchdog. */
export interface Helper {
  /** 0 when the operating system refuses to start it; `exit` tells why. */
  readonly pid: number;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  /** Never rejects. */
  readonly exit: Promise<HelperExit>;
  /** Whether it has not ended yet. */
  readonly isRunning: boolean;
  signal(request: PoliteRequest | "kill"): void;
}

/** The guardian of one epoch: ends everything of it when the keeper is gone. */
export interface Watchdog extends Helper {
  /** Resolves when it is on watch. Never settles when it ends before that. */
  readonly ready: Promise<void>;
  /** Names a front, which must not outlive the keeper either. */
  guard(front: ProcessRef): void;
  /** Lets it go without ending anything, at an orderly stop. */
  dismiss(): void;
}

export interface FrontRequest {
  /** The module that it runs. */
  readonly entry: string;
  /** The only directory where it may write. */
  readonly directory: string;
  readonly env: Readonly<Record<string, string>>;
  /** Number of the extra pipe's descriptor in the front. */
  readonly dataDescriptor: number;
}

/** A front as its keeper holds it: Node refuses it child processes, workers and addons. */
export interface FrontLink extends Helper {
  readonly data: Duplex;
  /** Drops the message when the front is gone: its exit tells. */
  send(message: object): void;
  onMessage(hear: (message: unknown) => void): void;
}
