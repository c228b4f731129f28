/** At-most-once starts: a request id starts one run however often it is sent, to this keeper or the next one. */
import type { RunView } from "../../protocol/run.ts";
import { requestsMax, type BackgroundSpec, type RequestedRun } from "../../protocol/background.ts";
import { HoldfastError } from "../../errors.ts";
import type { Ledger } from "../ledger.ts";
import type { LedgerRow } from "../ledger-row.ts";
import type { Run } from "../run.ts";
import { runView } from "../../protocol/keeper/run-view.ts";

interface Starting {
  command: string;
  run: Promise<RunView>;
}

export class Requests {
  readonly #ledger: Ledger;
  readonly #live: () => Run[];
  /** Requests without a row yet; from the row on the ledger knows. */
  readonly #starting = new Map<string, Starting>();

  constructor(ledger: Ledger, live: () => Run[]) {
    this.#ledger = ledger;
    this.#live = live;
  }

  /** The existing run of that request, or the result of `start`. Throws `request_reused`. */
  once(request: string, command: string, start: () => Promise<RunView>): Promise<RunView> {
    const starting = this.#starting.get(request);
    if (starting !== undefined) {
      mustBeEqual(request, starting.command, command);
      return starting.run;
    }
    const row = this.#ledger.byRequest(request);
    if (row !== undefined) {
      mustBeEqual(request, row.command, command);
      return Promise.resolve(this.#view(row));
    }
    const run = start().finally(() => this.#starting.delete(request));
    this.#starting.set(request, { command, run });
    return run;
  }

  /** Live runs, then ended ones, newest first. */
  list(): RequestedRun[] {
    const live = this.#live().flatMap((run) => {
      const { requestId } = run.row;
      return requestId === null ? [] : [{ request: requestId, run: run.summary() }];
    });
    const ended = this.#ledger
      .requested(requestsMax)
      .flatMap((row) => (row.requestId === null ? [] : [{ request: row.requestId, run: this.#view(row) }]));
    return [...live, ...ended];
  }

  #view(row: LedgerRow): RunView {
    return (
      this.#live()
        .find(({ id }) => id === row.id)
        ?.summary() ?? runView(row)
    );
  }
}

/** The command as the record and people see it. */
export function commandOf({ argv }: BackgroundSpec): string {
  return argv.join(" ");
}

function mustBeEqual(request: string, before: string, now: string): void {
  if (before === now) return;
  const message = `request ${request} was used for another command before; a new start needs a new request id`;
  throw new HoldfastError("request_reused", message);
}
