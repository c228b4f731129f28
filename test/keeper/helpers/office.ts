/** A keeper's request handler with its table and ledger in this very process, on a tier of choice: no front, no guardian. */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { systemSources } from "../../../src/random.ts";
import { keeperSources } from "../../../src/keeper/own-process.ts";
import { configSchema } from "../../../src/config/schema.ts";
import { BackgroundRuns } from "../../../src/keeper/background/runs.ts";
import { RequestHandler } from "../../../src/keeper/request-handler.ts";
import type { FrontProcess } from "../../../src/keeper/front.ts";
import { RemoteRuns } from "../../../src/keeper/remote-runs.ts";
import { Ledger } from "../../../src/keeper/ledger.ts";
import { openLog } from "../../../src/keeper/log.ts";
import { CreditMeter, SendWindow } from "../../../src/protocol/keeper/flow.ts";
import type { FrontRequestName, FrontRequests, KeeperMessage } from "../../../src/protocol/keeper/messages.ts";
import { RunTable } from "../../../src/keeper/run-table.ts";
import { Fence } from "../../helpers/fence.ts";
import { bestTier } from "../../helpers/tiers.ts";
import { until } from "../../helpers/until.ts";

export class Office implements AsyncDisposable {
  readonly directory: string;
  readonly fence = new Fence(bestTier());
  readonly ledger: Ledger;
  readonly told: KeeperMessage[] = [];
  readonly #log: ReturnType<typeof openLog>;
  readonly table: RunTable;
  readonly background: BackgroundRuns;
  readonly handler: RequestHandler;
  readonly front: FrontProcess;

  #requests = 1000;
  #closing: Promise<void> | undefined;

  /** `directory`: where an office before this one left its ledger, which this one takes over. */
  constructor(given: object = {}, epoch = 1, directory = mkdtempSync(join(tmpdir(), "holdfast-handler-"))) {
    this.directory = directory;
    this.ledger = new Ledger(join(directory, "ledger.sqlite"), systemSources.clock);
    this.#log = openLog(directory, systemSources.clock);
    const { log } = this.#log;
    const config = configSchema.parse({
      ...given,
      mcpServers: { cat: { command: "cat" }, off: { command: "cat", enabled: false } },
    });
    const { ledger } = this;
    this.table = new RunTable({
      ...keeperSources,
      config,
      fences: this.fence.epoch,
      ledger,
      log,
      epoch,
      ownerId: this.fence.ownerId,
      runsDirectory: directory,
      packagesDirectory: directory,
      mustWatch: () => undefined,
      onChange: () => {},
      remote: new RemoteRuns({
        ...systemSources,
        config,
        fences: this.fence.epoch,
        ownerId: this.fence.ownerId,
        epoch,
        directory,
        log,
      }),
    });
    const never = () => assert.fail("not asked for");
    const parts = { config, table: this.table, ledger, log, runsDirectory: directory };
    this.background = new BackgroundRuns({ ...keeperSources, ...parts });
    this.handler = new RequestHandler({
      table: this.table,
      background: this.background,
      log,
      figures: () => assert.fail(),
      status: never,
      onListening: never,
      onFailed: never,
      onHeartbeat: never,
      stop: never,
      restart: never,
      recheck: never,
      reload: never,
    });
    const port = {
      pipe: { write: () => true, cork() {}, uncork() {} },
      window: new SendWindow(),
      meter: new CreditMeter(() => {}),
    };
    this.front = { pid: 0, epoch, port, gone: false, tell: (message) => this.told.push(message) };
  }

  async ask(message: { request: number }): Promise<KeeperMessage> {
    this.handler.hear(message, this.front);
    const isAnswer = (each: KeeperMessage) => "request" in each && each.request === message.request;
    return until("an answer", () => this.told.find(isAnswer), { boundMs: 5000 });
  }

  /** Asks as a front does, and throws what is refused as `code: message`. */
  async call<N extends FrontRequestName>(
    type: N,
    params: FrontRequests[N]["params"],
  ): Promise<FrontRequests[N]["result"]> {
    const request = this.#requests++;
    const asked: object = { type, request, params };
    this.handler.hear(asked, this.front);
    const isAnswer = (each: KeeperMessage) => "request" in each && each.request === request;
    const answer = await until("an answer", () => this.told.find(isAnswer), { boundMs: 10_000, everyMs: 2 });
    if (answer.type === "reply") return answer.result as FrontRequests[N]["result"];
    assert.equal(answer.type, "refusal");
    throw new Error(`${(answer as { code: string }).code}: ${(answer as { message: string }).message}`);
  }

  get log(): string {
    return readFileSync(join(this.directory, "keeper.log"), "utf8");
  }

  /** As a keeper that ends, without what it keeps on disk. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    await this.table.close("shutdown");
    this.background.close();
    this.ledger.close();
    this.#log.close();
    await this.fence[Symbol.asyncDispose]();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
    rmSync(this.directory, { recursive: true, force: true });
  }
}
