/** The two descriptors between a front and its keeper, as the front has them: control messages, and frames of server bytes. */
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { HoldfastError } from "../../errors.ts";

/** Descriptor of the data pipe in the front, as the keeper's `fork` lays it. */
export const dataDescriptor = 4;

/** A simulation gives another. */
export interface KeeperChannel {
  readonly data: Duplex;
  /** One listener, which replaces an earlier one. */
  onMessage(hear: (message: unknown) => void): void;
  /** `onSent`: the keeper can read it. A message to a keeper that is gone is dropped. */
  send(message: object, onSent: () => void): void;
  /** Runs once, when the keeper is gone; at once if it is already. */
  onLost(lost: () => void): void;
}

/** Of this process. Throws `usage` when no keeper started it. */
export function openKeeperChannel(): KeeperChannel {
  if (process.send === undefined) throw new HoldfastError("usage", "a front is started by its keeper, not by hand");
  let hear: (message: unknown) => void = () => {};
  process.on("message", (message) => hear(message));
  return {
    data: new Socket({ fd: dataDescriptor, readable: true, writable: true }),
    onMessage: (listener) => {
      hear = listener;
    },
    // The callback form: a keeper that died between two lines is told by "disconnect", not by an exception here.
    send: (message, onSent) => process.send?.(message, undefined, {}, () => onSent()),
    onLost: (lost) => void (process.connected ? process.once("disconnect", lost) : lost()),
  };
}
