/** What the contract's suite needs of a backend, and the world in which it plays. */
import type { Container, Epoch, Platform, ProcessRef, Spawned } from "../../../src/platform/types.ts";

/** A tree that was started in a container, all of it there. */
export interface Tree {
  readonly container: Container;
  readonly spawned: Spawned;
  /** Its live processes, counted without asking what is tested. */
  readonly survivors: () => ProcessRef[];
  /** How many processes of it there have been so far. */
  readonly count: () => number;
}

/** A keeper in a process of its own, which can be lost. */
export interface OtherKeeper {
  start(tree: string, runId: string): Promise<Pick<Tree, "survivors">>;
  /** Ends it as `kill -9` does. */
  lose(): Promise<void>;
}

export interface World {
  readonly platform: Platform;
  readonly epoch: Epoch;
  readonly owner: string;
  /** Another epoch of this owner, or another owner's; with its guardian on watch or without. */
  keeper(owner: string, epoch: number, options: { isGuarded: boolean }): Promise<OtherKeeper>;
  /** Starts a tree and resolves when it says that all of it is there. */
  start(tree: string): Promise<Tree>;
  /** A container and the request for a tree, not started. */
  prepare(tree: string): Omit<Tree, "spawned"> & { spawn: () => Promise<Spawned> };
  until(what: string, look: () => boolean): Promise<void>;
  /** A random moment between the steps of whatever goes on. */
  moment(): Promise<void>;
  /** Lets go what nobody can kill. */
  release?(): void;
  /** What of the backend's own is left when all is closed: fences, helpers. */
  leftovers(): string[];
}

export interface Backend {
  readonly name: string;
  readonly trees: readonly { name: string; processes: number; skip?: string | false }[];
  readonly proof: "kernel" | "scan";
  /** Plays a scene in a fresh world; where chance decides, in many. */
  readonly play: (scene: (world: World) => Promise<void>) => Promise<void>;
  /** A command that exists, and a directory that does not. */
  readonly refused: { readonly command: string; readonly cwd: string };
  /** Scenes that cannot be played there, and why. */
  readonly cannot: Partial<Record<"ask" | "limits" | "stopped" | "unkillable", string>>;
  /** By its title, a row that the tier does not promise, and why. The suite sees that it is lost in at least one play. */
  readonly bestEffort?: Readonly<Record<string, string>>;
}

/** One promise of the contract. */
export interface Row {
  readonly title: string;
  readonly skip: string | false;
  /** Why the tier only tries. */
  readonly bestEffort: string | undefined;
  /** Rejects when the promise is broken. */
  readonly play: () => Promise<void>;
}
