/** What can be done with background runs, wherever they are: the one interface of this machine's keeper and of nodes. */
import type { FrontRequestName, FrontRequests } from "./messages.ts";

/** Name of each operation on the wire: between front and keeper, and between gateway and node. */
const operations = {
  start: "exec.start",
  read: "exec.read",
  write: "exec.write",
  resize: "exec.resize",
  signal: "exec.signal",
  end: "exec.end",
  wait: "exec.wait",
  outcome: "exec.outcome",
  list: "run.list",
  owners: "exec.owners",
  remove: "exec.remove",
} as const satisfies Record<string, FrontRequestName>;

type Operations = typeof operations;
export type RunnerOperation = keyof Operations;
type Operation<N extends FrontRequestName> = (
  params: FrontRequests[N]["params"],
) => Promise<FrontRequests[N]["result"]>;

/** Each operation is explained with its message, in `FrontRequests`. */
export type Runner = { [O in RunnerOperation]: Operation<Operations[O]> };

export type OperationParams<O extends RunnerOperation> = Parameters<Runner[O]>[0];

type Ask = <N extends Operations[RunnerOperation]>(
  name: N,
  params: FrontRequests[N]["params"],
) => Promise<FrontRequests[N]["result"]>;

/** The runner at the other end of a wire. */
export function runnerOver(ask: Ask): Runner {
  const asking = Object.entries(operations).map(([operation, name]) => [
    operation,
    (params: never) => ask(name, params),
  ]);
  return Object.fromEntries(asking) as Runner;
}

type Handlers = Partial<Record<RunnerOperation, (params: never) => unknown>>;

/** This end of the wire: the operations of `handlers` by the names of their messages. */
export function byMessage<H extends Handlers>(
  handlers: H,
): { [O in keyof H & RunnerOperation as Operations[O]]: H[O] } {
  const named = Object.entries(operations).flatMap(([operation, name]) =>
    operation in handlers ? [[name, (params: never) => handlers[operation as RunnerOperation]?.(params)]] : [],
  );
  return Object.fromEntries(named) as { [O in keyof H & RunnerOperation as Operations[O]]: H[O] };
}
