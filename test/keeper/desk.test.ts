/** The keeper's answers to a front that asks for what it may not have: refused, logged, and nothing started. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { configSchema } from "../../src/config/schema.ts";
import { BackgroundRuns } from "../../src/keeper/background/runs.ts";
import { Desk } from "../../src/keeper/desk.ts";
import type { FrontProcess } from "../../src/keeper/front.ts";
import { FarRuns } from "../../src/keeper/far-runs.ts";
import { Ledger } from "../../src/keeper/ledger.ts";
import { openLog } from "../../src/keeper/log.ts";
import { CreditMeter, SendWindow } from "../../src/keeper/protocol/flow.ts";
import type { KeeperMessage } from "../../src/keeper/protocol/messages.ts";
import { RunTable } from "../../src/keeper/run-table.ts";
import { Fence } from "../helpers/fence.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier } from "../helpers/tiers.ts";
import { until } from "../helpers/until.ts";

class Office implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-desk-"));
  readonly fence = new Fence(bestTier());
  readonly ledger = new Ledger(join(this.directory, "ledger.sqlite"));
  readonly told: KeeperMessage[] = [];
  readonly #log = openLog(this.directory);
  readonly table: RunTable;
  readonly desk: Desk;
  readonly front: FrontProcess;

  constructor() {
    const { log } = this.#log;
    const config = configSchema.parse({
      mcpServers: { cat: { command: "cat" }, off: { command: "cat", enabled: false } },
    });
    const { ledger, directory } = this;
    this.table = new RunTable({
      config,
      containment: this.fence.containment,
      ledger,
      log,
      epoch: 1,
      ownerId: this.fence.ownerId,
      runsDirectory: directory,
      onChange: () => {},
      far: new FarRuns({
        config,
        containment: this.fence.containment,
        ownerId: this.fence.ownerId,
        epoch: 1,
        directory,
        log,
      }),
    });
    const never = () => assert.fail("not asked for");
    this.desk = new Desk({
      table: this.table,
      background: new BackgroundRuns({ config, table: this.table, ledger, log, runsDirectory: directory }),
      log,
      figures: () => assert.fail(),
      status: never,
      onListening: never,
      onFailed: never,
      onHeartbeat: never,
      stop: never,
      restart: never,
    });
    const port = {
      pipe: { write: () => true, cork() {}, uncork() {} },
      window: new SendWindow(),
      meter: new CreditMeter(() => {}),
    };
    this.front = { pid: 0, epoch: 1, port, gone: false, tell: (message) => this.told.push(message) };
  }

  async ask(message: { request: number }): Promise<KeeperMessage> {
    this.desk.hear(message, this.front);
    const isAnswer = (each: KeeperMessage) => "request" in each && each.request === message.request;
    return until("an answer", () => this.told.find(isAnswer), { boundMs: 5000 });
  }

  get log(): string {
    return readFileSync(join(this.directory, "keeper.log"), "utf8");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.table.close("shutdown");
    this.ledger.close();
    this.#log.close();
    await this.fence[Symbol.asyncDispose]();
    rmSync(this.directory, { recursive: true });
  }
}

const params = { server: "cat", sessionId: "s", onFrontLoss: "kill", blob: "" };

describe("the keeper's desk", () => {
  leavesNothing();
  const asks: [string, Record<string, unknown>, string][] = [
    ["an argv of its own", { ...params, command: "touch", args: ["/tmp/x"] }, "request_refused"],
    ["another state file", { ...params, ledger: "/tmp/other.sqlite" }, "request_refused"],
    ["an unknown server", { ...params, server: "nobody" }, "server_unknown"],
    ["a server that is switched off", { ...params, server: "off" }, "server_unknown"],
    ["a server by a name of the language", { ...params, server: "__proto__" }, "server_unknown"],
  ];
  for (const [what, asked, code] of asks) {
    it(`refuses and logs a front that asks for ${what}, and starts nothing`, async () => {
      await using office = new Office();
      const answer = await office.ask({ type: "run.start", request: 7, params: asked } as { request: number });
      assert.equal(answer.type, "refusal");
      assert.equal((answer as { code: string }).code, code);
      assert.match(office.log, /front\.refused/);
      assert.equal(office.table.size, 0);
      assert.deepEqual(office.ledger.open(), []);
    });
  }

  it("starts a configured server, with its row written and its id unguessable", async () => {
    await using office = new Office();
    const answer = await office.ask({ type: "run.start", request: 1, params } as { request: number });
    assert.equal(answer.type, "reply");
    const [row] = office.ledger.open();
    assert.equal(row?.state, "running");
    assert.match(row?.id ?? "", /^r1-[0-9a-f]{8}$/);
  });

  it("the row is there before the process", async () => {
    await using office = new Office();
    const { containment } = office.fence;
    const create = containment.create.bind(containment);
    let stateAtSpawn: string | undefined;
    containment.create = (runId) => {
      const container = create(runId);
      const spawn = container.spawn.bind(container);
      container.spawn = (request) => {
        stateAtSpawn = office.ledger.open().find((row) => row.id === runId)?.state;
        return spawn(request);
      };
      return container;
    };
    await office.ask({ type: "run.start", request: 1, params } as { request: number });
    assert.equal(stateAtSpawn, "starting");
  });
});
