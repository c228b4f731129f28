/** Background runs of a gateway under test, as a caller of its API starts, reads and ends them. */
import { readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { join } from "node:path";
import type { RunView } from "../../src/protocol/run.ts";
import type { ParamsOf, ResultOf } from "../../src/protocol/api/index.ts";
import type { MethodName } from "../../src/protocol/api/index.ts";
import type { Gateway } from "./gateway.ts";
import type { Home } from "./home.ts";
import { until } from "./until.ts";

const readBoundMs = 15_000;

export class Background {
  readonly #gateway: Pick<Gateway, "rpc">;

  constructor(gateway: Pick<Gateway, "rpc">) {
    this.#gateway = gateway;
  }

  call<N extends MethodName>(method: N, params: ParamsOf<N>): Promise<ResultOf<N>> {
    return this.#gateway.rpc(method, params) as Promise<ResultOf<N>>;
  }

  start(params: ParamsOf<"run.start">): Promise<RunView> {
    return this.call("run.start", params);
  }

  /** All that the run printed from `offset` on, piece by piece, until `isEnough` or its end. */
  async output(id: string, isEnough: (text: string) => boolean = () => false, offset = 0): Promise<string> {
    const pieces: Buffer[] = [];
    let next = offset;
    const deadline = performance.now() + readBoundMs;
    for (;;) {
      const piece = await this.call("run.log", { id, offset: next, bytesMax: 256 * 1024, waitMs: 500 });
      if (piece.offset !== next) throw new Error(`${piece.offset - next} bytes at ${next} are not kept any more`);
      next = piece.nextOffset;
      pieces.push(Buffer.from(piece.bytes, "base64"));
      const text = Buffer.concat(pieces).toString("utf8");
      if (isEnough(text)) return text;
      if (piece.run.state === "exited" && next >= piece.printed) return text;
      if (performance.now() > deadline)
        throw new Error(`not printed within ${readBoundMs} ms; there is: ${text.slice(-2000)}`);
    }
  }

  /** Waits until the run's screen shows a line for which the test is true. */
  async screen(id: string, isShown: (lines: string[]) => boolean): Promise<string[]> {
    let lines: string[] = [];
    const look = async () => {
      const { screen } = await this.call("run.poll", { id, screen: true });
      lines = screen?.lines ?? [];
      return isShown(lines);
    };
    await until("the screen", look, { boundMs: readBoundMs, everyMs: 20 }).catch((cause: unknown) => {
      throw new Error(`the screen shows:\n${lines.join("\n").trimEnd()}`, { cause });
    });
    return lines;
  }

  async ended(id: string): Promise<RunView> {
    const run = await this.call("run.wait", { id, waitMs: 20_000 });
    if (run.state !== "exited") throw new Error(`run ${id} has not ended: ${JSON.stringify(run)}`);
    return run;
  }

  async live(): Promise<RunView[]> {
    return (await this.call("run.list", {})).filter(({ kind }) => kind !== "mcp");
  }
}

/** Ends by run id, as the log tells them. */
export function endsInLog(home: Home): Map<string, string> {
  const lines = readFileSync(join(home.stateDir, "log/keeper.log"), "utf8").trim().split("\n");
  const entries = lines.map((line) => JSON.parse(line) as { event: string; run?: string; endReason?: string });
  return new Map(
    entries.filter(({ event }) => event === "run.ended").map(({ run = "", endReason = "" }) => [run, endReason]),
  );
}

/** Rows of the ledger by run id; only once the gateway has ended, because it holds the file for itself. */
export function ledgerRows(home: Home): Map<string, { state: string; endReason: string | null }> {
  const database = new DatabaseSync(join(home.stateDir, "ledger.sqlite"));
  try {
    const rows = database.prepare("select id, state, end_reason as endReason from runs").all() as unknown as {
      id: string;
      state: string;
      endReason: string | null;
    }[];
    return new Map(rows.map(({ id, state, endReason }) => [id, { state, endReason }]));
  } finally {
    database.close();
  }
}
