/** A gateway with servers on a far side of its own, for one test. */
import assert from "node:assert/strict";
import { FarSide, type FarSideOptions } from "../helpers/far-side.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import type { McpClient } from "../helpers/mcp-client.ts";
import { settle } from "../helpers/pids.ts";
import { until } from "../helpers/until.ts";

export const boundMs = 20_000;
const stop = { stdinGraceMs: 200, termGraceMs: 300 };

interface RunRecord {
  server: string;
  state: string;
  endReason: string;
  exitCode: number;
}

/** 204 says that nothing is left; when that takes longer than a second the answer is 202, and it is waited for. */
export async function endSession(client: McpClient, pidFile: string, excused: string[] = []): Promise<void> {
  const status = await client.delete();
  assert.ok(status === 204 || status === 202, `DELETE: ${status}`);
  const { survivors } = await settle(pidFile, status === 204 ? 0 : boundMs, excused);
  assert.deepEqual(
    survivors.filter(({ role }) => !excused.includes(role)),
    [],
  );
}

export class Place implements AsyncDisposable {
  readonly home = new Home("cgroup");
  readonly far: FarSide;
  #gateway: Gateway | undefined;

  static async make(options: FarSideOptions = {}): Promise<Place> {
    return new Place(await FarSide.start(options));
  }

  private constructor(far: FarSide) {
    this.far = far;
  }

  async serve(mcpServers: object, more: object = {}, env: Record<string, string> = {}): Promise<Gateway> {
    this.home.configure({ mcpServers, stop, ...more });
    return this.again(env);
  }

  async again(env: Record<string, string> = {}): Promise<Gateway> {
    const path = `${this.far.path}:${process.env["PATH"]}`;
    this.#gateway = await Gateway.start(this.home, [], { PATH: path, ...env });
    return this.#gateway;
  }

  async record(server: string): Promise<RunRecord> {
    return until(
      `the end of ${server}`,
      async () => {
        const runs = (await this.#gateway!.rpc("run.list", { all: true })) as RunRecord[];
        return runs.find((run) => run.server === server && run.state === "exited");
      },
      { boundMs, everyMs: 20 },
    );
  }

  async [Symbol.asyncDispose](): Promise<void> {
    try {
      await this.#gateway?.[Symbol.asyncDispose]();
      await this.far[Symbol.asyncDispose]();
    } finally {
      await this.home[Symbol.asyncDispose]();
    }
  }
}
