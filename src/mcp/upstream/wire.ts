/** The way to one MCP server, whatever carries it: lines out, lines in, and one end. */
import type { EndReason } from "../../keeper/protocol/messages.ts";
import type { Owned, ScopeClosed } from "../../ownership/scope.ts";

export interface WireEvents {
  /**
   * One message from the server, without a newline. The bytes are valid only during the call. Call `release` once they
   * were passed on: that is what lets the server say more.
   */
  onLine(line: Buffer, release: () => void): void;
  /** Once, and nothing comes after it. `outcome` is a sentence for whoever waited for an answer. */
  onClosed(outcome: string): void;
}

/** Closing it ends the server as far as it is ours, and resolves when that is proven. */
export interface Wire extends Owned {
  /** The run that it leads to; undefined for a server that is not ours to start. */
  readonly runId: string | undefined;
  /** False: the server does not keep up, the line was not taken. */
  send(line: Buffer): boolean;
  close(reason: EndReason): Promise<ScopeClosed | void>;
}
