/** The connection to one MCP server over any transport: lines out, lines in, and one end. */
import type { EndReason } from "../../protocol/run.ts";
import type { ErrorCode } from "../../errors.ts";
import type { SentIds } from "../../protocol/keeper/linked-run.ts";
import type { Owned, ScopeClosed } from "../../ownership/scope.ts";

export interface WireEvents {
  /**
   * One message from the server, without a newline. The bytes are valid only during the call. Call `release` once they
   * were passed on, to let the server continue. `again`: the previous front may have handled it. `about`: the number of
   * the call that a question belongs to, where the wire knows it.
   */
  onLine(line: Buffer, release: () => void, again?: boolean, about?: number): void;
  /**
   * Once, after everything else. `outcome` is a sentence for waiting callers, `code` for programs, `reason` for the
   * records; by default the server exited.
   */
  onClosed(outcome: string, code?: ErrorCode, reason?: EndReason): void;
}

/** Handoff information of a wire that outlives its front. */
export interface Legacy {
  /** A sent request needs no answer now. */
  closed(number: number): void;
  /** The server asked, with this id of its own. */
  asked(number: number, serverId: string): void;
  /** The server withdrew its question. */
  withdrawn(number: number): void;
  /** The server's handoff state; empty: it ends with this front. */
  leave(blob: string): void;
}

/** Closing it ends a local server or a remote session, and resolves on proof. */
export interface Wire extends Owned {
  /** The keeper's run; undefined for a remote server. */
  readonly runId: string | undefined;
  /** Undefined for a wire that ends with this front. */
  readonly legacy?: Legacy | undefined;
  /** False: the server does not keep up, and the line was dropped. `ids`: the requests that it opens or answers. */
  send(line: Buffer, ids?: SentIds): boolean;
  close(reason: EndReason): Promise<ScopeClosed | void>;
}
