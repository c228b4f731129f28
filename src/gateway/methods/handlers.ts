/** Parameters and results of handlers; types follow from the schema. */
import { HoldfastError } from "../../errors.ts";
import type { MethodName, MethodsOf, ReadParamsOf, ResultOf } from "../../protocol/api/index.ts";
import type { Asker } from "../../sessions/owner.ts";

/** The caller and its transport. */
export interface Caller extends Asker {
  /** The call's WebSocket; undefined over HTTP, always set for `websocket` methods. */
  peer: Peer | undefined;
  /** Aborted when the call's connection is lost before its answer. */
  lost: AbortSignal;
}

/** A WebSocket client, for methods that continue after their answer. */
export interface Peer {
  /** False: pause until `drained`. Messages to a closed peer are dropped. */
  notify(method: string, params: object): boolean;
  /** The same with parameters as JSON text. */
  notifyJson(method: string, params: string): boolean;
  /** Resolves when the client has read enough, or is gone. */
  drained(): Promise<void>;
  /** True once closing has begun. */
  readonly gone: boolean;
  /** `listener` runs once, when the connection is gone, or now if it is. Returns the unsubscriber. */
  onGone(listener: () => void): () => void;
}

/** The caller's WebSocket in a `websocket` method; the dispatcher admits no other. */
export function peerOf({ peer }: Caller): Peer {
  if (peer === undefined) throw new HoldfastError("websocket_only", "this works on a WebSocket only: connect to /ws");
  return peer;
}

type Handler<N extends MethodName> = (params: ReadParamsOf<N>, caller: Caller) => Promise<ResultOf<N>> | ResultOf<N>;

type Handlers<N extends MethodName> = { [K in N]: Handler<K> };
/** The handlers of one namespace, e.g. `NamespaceHandlers<"run">`. */
export type NamespaceHandlers<S extends string> = Handlers<MethodsOf<S>>;
export type AllHandlers = Handlers<MethodName>;
