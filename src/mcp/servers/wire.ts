/** The way to one MCP server, whatever carries it: lines out, lines in, and one end. */
import type { ErrorCode } from "../../errors.ts";
import type { SentIds } from "../../protocol/keeper/linked-run.ts";
import type { EndReason } from "../../protocol/keeper/messages.ts";
import type { Owned, ScopeClosed } from "../../ownership/scope.ts";

export interface WireEvents {
  /**
   * One message from the server, without a newline. The bytes are valid only during the call. Call `release` once they
   * were passed on: that is what lets the server say more. `again`: the front before this one may have dealt with it.
   * `about`: the number of the one call that a question belongs to, where the wire knows it.
   */
  onLine(line: Buffer, release: () => void, again?: boolean, about?: number): void;
  /**
   * Once, and nothing comes after it. `outcome` is a sentence for whoever waited for an answer, `code` says the same to
   * programs, `reason` to the records; by default the server exited.
   */
  onClosed(outcome: string, code?: ErrorCode, reason?: EndReason): void;
}

/** What a front after this one is told, on a wire that outlives its front. */
export interface Legacy {
  /** A request that was sent needs no answer any more. */
  closed(number: number): void;
  /** The server asked, under this id of its own. */
  asked(number: number, serverId: string): void;
  /** The server took its question back. */
  withdrawn(number: number): void;
  /** What must be known to go on with the server; empty: it ends with this front. */
  leave(blob: string): void;
}

/** Closing it ends the server as far as it is ours, and resolves when that is proven. */
export interface Wire extends Owned {
  /** The run that it leads to; undefined for a server that is not ours to start. */
  readonly runId: string | undefined;
  /** Undefined for a wire that ends with this front. */
  readonly legacy?: Legacy | undefined;
  /** False: the server does not keep up, the line was not taken. `ids`: the requests that it opens or answers. */
  send(line: Buffer, ids?: SentIds): boolean;
  close(reason: EndReason): Promise<ScopeClosed | void>;
}
