/** What a handler is given and must give; the schema says the rest. */
import { HoldfastError } from "../../errors.ts";
import type { MethodName, MethodsOf, ReadParamsOf, ResultOf } from "../api/index.ts";
import type { Asker } from "../../sessions/owner.ts";

/** Who calls, and over what. */
export interface Caller extends Asker {
  /** The WebSocket that the call came over; undefined over HTTP. Always there in a method whose transport is `websocket`. */
  peer: Peer | undefined;
  /** Aborted when the connection of this call is gone before its answer. */
  lost: AbortSignal;
}

/** The other end of a WebSocket, for methods that go on speaking after their answer. */
export interface Peer {
  /** False: the bytes wait, and the producer should pause until `drained`. What is sent to a peer that is gone is dropped. */
  notify(method: string, params: object): boolean;
  /** The same, with parameters that are JSON text already. */
  notifyJson(method: string, params: string): boolean;
  /** Resolves when the client took enough of what waits, or is gone. */
  drained(): Promise<void>;
  /** True from the first moment of its end on. */
  readonly gone: boolean;
  /** `listener` runs once, when the connection is gone; at once if it is. Returns what takes it off again. */
  onGone(listener: () => void): () => void;
}

/** The WebSocket of a caller, in a method whose transport is `websocket`: the dispatcher lets no other caller in. */
export function peerOf({ peer }: Caller): Peer {
  if (peer === undefined) throw new HoldfastError("websocket_only", "this works on a WebSocket only: connect to /ws");
  return peer;
}

type Handler<N extends MethodName> = (params: ReadParamsOf<N>, caller: Caller) => Promise<ResultOf<N>> | ResultOf<N>;

type Handlers<N extends MethodName> = { [K in N]: Handler<K> };
/** The handlers of one namespace, e.g. `NamespaceHandlers<"run">`. */
export type NamespaceHandlers<S extends string> = Handlers<MethodsOf<S>>;
export type AllHandlers = Handlers<MethodName>;
