/** The tools `exec` and `process`, by the names that agents know: each action on real commands, and each session its own. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { systemSources } from "../../src/random.ts";
import { keeperSources } from "../../src/keeper/own-process.ts";
import { configSchema } from "../../src/config/schema.ts";
import { BackgroundRuns } from "../../src/keeper/background/runs.ts";
import { RemoteRuns } from "../../src/keeper/remote-runs.ts";
import { Ledger } from "../../src/keeper/ledger.ts";
import { openLog } from "../../src/keeper/log.ts";
import { RunTable } from "../../src/keeper/run-table.ts";
import { RequestHandler } from "../../src/keeper/request-handler.ts";
import { CreditMeter, SendWindow } from "../../src/protocol/keeper/flow.ts";
import {
  type FrontRequestName,
  type FrontRequests,
  type KeeperMessage,
  readFrontMessage,
} from "../../src/protocol/keeper/messages.ts";
import { HoldfastError } from "../../src/errors.ts";
import { execTool } from "../../src/mcp/tools/exec.ts";
import { processTool } from "../../src/mcp/tools/process.ts";
import type { OwnTool, ToolResult } from "../../src/mcp/tools/tool.ts";
import { Scope } from "../../src/ownership/scope.ts";
import { localRunner, Runners } from "../../src/runs/runners.ts";
import { RunService } from "../../src/runs/service.ts";
import type { Session } from "../../src/sessions/session.ts";
import { SessionSet } from "../../src/sessions/set.ts";
import { Fence } from "../helpers/fence.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

leavesNothing();

/** A keeper and a front's sessions in this process; every question passes the barrier. */
class House implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-tools-"));
  readonly fence = new Fence(bestTier());
  readonly sessions: SessionSet;
  readonly runners: Runners;
  readonly exec: OwnTool;
  readonly process: OwnTool;
  readonly #table: RunTable;
  readonly #background: BackgroundRuns;
  readonly #ledger: Ledger;
  readonly #log = openLog(this.directory, systemSources.clock);
  readonly #asked = new Map<number, { resolve: (value: never) => void; reject: (error: Error) => void }>();
  readonly #handler: RequestHandler;
  #next = 1;

  constructor() {
    const { log } = this.#log;
    const config = configSchema.parse({ exec: { enabled: true }, stop: { stdinGraceMs: 100, termGraceMs: 300 } });
    const { epoch: fences, ownerId } = this.fence;
    const runsDirectory = this.directory;
    this.#ledger = new Ledger(join(this.directory, "ledger.sqlite"), systemSources.clock);
    const ledger = this.#ledger;
    const far = new RemoteRuns({
      ...systemSources,
      config,
      fences,
      ownerId,
      epoch: 1,
      directory: this.directory,
      log,
    });
    const [onChange, mustWatch] = [() => {}, () => undefined];
    const directories = { runsDirectory, packagesDirectory: this.directory };
    this.#table = new RunTable({
      ...keeperSources,
      config,
      fences,
      ledger,
      log,
      epoch: 1,
      ownerId,
      ...directories,
      onChange,
      mustWatch,
      remote: far,
    });
    const table = this.#table;
    this.#background = new BackgroundRuns({ ...keeperSources, config, table, ledger, log, runsDirectory });
    const never = () => assert.fail("not asked for");
    this.#handler = new RequestHandler({
      table,
      background: this.#background,
      log,
      status: never,
      onListening: never,
      onFailed: never,
      onHeartbeat: never,
      stop: never,
      restart: never,
      reload: never,
      recheck: never,
      figures: never,
    });
    this.sessions = new SessionSet(
      new Scope("test"),
      systemSources,
      { idleLeaseMs: 60_000, sessionsMax: 10 },
      () => {},
    );
    this.runners = new Runners([localRunner((name, params) => this.#ask(name, params))]);
    const runs = new RunService(this.runners, this.sessions, systemSources.clock, () => {});
    this.exec = execTool(runs);
    this.process = processTool(runs);
  }

  open(): Session {
    return this.sessions.open({ client: { name: "agent", version: "1" }, server: null }, null);
  }

  #ask<N extends FrontRequestName>(type: N, params: FrontRequests[N]["params"]): Promise<FrontRequests[N]["result"]> {
    const request = this.#next++;
    const message = JSON.parse(JSON.stringify({ type, request, params })) as object;
    assert.ok("message" in readFrontMessage(message), `the barrier takes ${type}`);
    const port = {
      pipe: { write: () => true, cork() {}, uncork() {} },
      window: new SendWindow(),
      meter: new CreditMeter(() => {}),
    };
    return new Promise((resolve, reject) => {
      this.#asked.set(request, { resolve, reject });
      this.#handler.hear(message, { pid: 0, epoch: 1, port, tell: (told) => this.#hear(told), gone: false });
    });
  }

  #hear(told: KeeperMessage): void {
    if (told.type === "reply") this.#asked.get(told.request)?.resolve(told.result as never);
    if (told.type === "refusal") this.#asked.get(told.request)?.reject(new HoldfastError(told.code, told.message));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#table.close("shutdown");
    this.#background.close();
    this.#ledger.close();
    this.#log.close();
    await this.fence[Symbol.asyncDispose]();
    rmSync(this.directory, { recursive: true, force: true });
  }
}

describe("the tools exec and process", { timeout: patiently(60_000) }, () => {
  let house: House;
  let session: Session;
  before(() => {
    house = new House();
    session = house.open();
  });
  after(async () => {
    await session.close("session-ended");
    await house[Symbol.asyncDispose]();
  });

  const caller = (of: Session = session, signal = new AbortController().signal) => ({ session: of, signal });
  const exec = (args: object, of?: Session, signal?: AbortSignal) => house.exec.call(args, caller(of, signal));
  const act = (action: string, args: object = {}, of?: Session) => house.process.call({ action, ...args }, caller(of));
  const textOf = ({ content }: ToolResult) => content.map(({ text }) => text).join("");
  const idOf = ({ structuredContent }: ToolResult) => String(structuredContent?.["sessionId"]);

  it("a short command is answered whole, with its exit code", async () => {
    const good = await exec({ command: "echo out; echo $WORD; pwd", workdir: "/", env: { WORD: "given" } });
    assert.equal(textOf(good), "out\ngiven\n/");
    assert.equal(good.structuredContent?.["status"], "completed");
    const bad = await exec({ command: "echo no >&2; exit 3" });
    assert.equal(bad.isError, true);
    assert.match(textOf(bad), /^no\n\n\(Command exit code 3\)$/);
    const late = await exec({ command: "sleep 1000", timeoutSeconds: 0.3 });
    assert.match(textOf(late), /ended: timeout/);
  });

  it("a long one goes on in the background, is written to, polled, logged, ended, cleared", async () => {
    const started = await exec({ command: "while read line; do echo got $line; done; echo eof", yieldMs: 50 });
    const sessionId = idOf(started);
    assert.match(textOf(started), new RegExp(`still running \\(session ${sessionId}, pid \\d+\\)`));
    await act("write", { sessionId, data: "one\n" });
    const first = await act("poll", { sessionId, timeout: 5000 });
    assert.equal(first.structuredContent?.["output"], "got one");
    assert.match(textOf(await act("poll", { sessionId })), /\(no new output\)[^]*still running/);
    await act("submit", { sessionId, data: "two" });
    assert.equal((await act("poll", { sessionId, timeout: 5000 })).structuredContent?.["output"], "got two");
    assert.match(textOf(await act("list")), new RegExp(`${sessionId} still running :: `));
    assert.match(textOf(await act("clear", { sessionId })), /has not ended/);
    await act("write", { sessionId, data: "", eof: true });
    await until("it has ended", async () => textOf(await act("poll", { sessionId })).includes("ended: exited"), {
      boundMs: 5000,
    });
    assert.equal(textOf(await act("log", { sessionId })), "got one\ngot two\neof");
    assert.equal(textOf(await act("log", { sessionId, offset: 1, limit: 1 })), "got two");
    await act("clear", { sessionId });
    assert.match(textOf(await act("poll", { sessionId })), /no session/);
  });

  it("a terminal takes keys and pastes, and shows its screen without escape sequences", async () => {
    const sessionId = idOf(await exec({ command: "bash --norc -i", env: { PS1: "> " }, pty: true, background: true }));
    await act("paste", { sessionId, text: "printf '\\033[31mred\\033[0m\\n'" });
    await act("send-keys", { sessionId, keys: ["Enter"] });
    const shown = async () => textOf(await act("poll", { sessionId, screen: true, timeout: 200 }));
    await until("the screen", async () => /Screen:[^]*^red$/m.test(await shown()), { boundMs: 5000 });
    await act("send-keys", { sessionId, literal: "exit 4", hex: ["0d"] });
    await until("it has ended", async () => (await shown()).includes("exit code 4"), { boundMs: 5000 });
    assert.match(textOf(await act("send-keys", { sessionId, keys: ["Entr"] })), /no key "Entr"/);
    await act("remove", { sessionId });
  });

  it("a session sees and ends its own runs only, and takes them with it; a call that is given up ends its run", async () => {
    const other = house.open();
    const theirs = idOf(await exec({ command: "sleep 1000", background: true }, other));
    assert.doesNotMatch(textOf(await act("list")), new RegExp(theirs));
    assert.equal((await act("kill", { sessionId: theirs })).isError, true);
    const killed = idOf(await exec({ command: "sleep 1000", background: true }));
    assert.match(
      textOf(await act("kill", { sessionId: killed })),
      /ended: cancelled, signal SIGTERM; nothing of it is left/,
    );
    await other.close("session-ended");
    assert.match(textOf(await act("list", {}, other)), new RegExp(`${theirs} ended: session-ended`));
    const giving = new AbortController();
    const call = exec({ command: "sleep 1000" }, session, giving.signal);
    await until("it runs", async () => textOf(await act("list")).includes("still running"), { boundMs: 5000 });
    giving.abort();
    assert.match(textOf(await call), /given up; run \S+ is ended/);
  });

  it("a run whose session was lost without a word is ended within seconds, and those of others go on", async () => {
    const kept = idOf(await exec({ command: "sleep 1000", background: true }));
    const lost = house.open();
    const orphan = idOf(await exec({ command: "sleep 1000", background: true }, lost));
    // Another front takes over, and does not know the session.
    const sessions = new SessionSet(
      new Scope("next"),
      systemSources,
      { idleLeaseMs: 60_000, sessionsMax: 10 },
      () => {},
    );
    const known = { get: (id: string) => (id === session.id ? session : sessions.get(id)) } as SessionSet;
    const next = new RunService(house.runners, known, systemSources.clock, () => {});
    next.begin();
    const ended = await next.wait(orphan, 5000);
    next.close();
    assert.deepEqual([ended.state, ended.endReason], ["exited", "session-ended"]);
    assert.equal((await next.wait(kept, 0)).state, "running");
    await act("kill", { sessionId: kept });
    await lost.close("session-ended");
  });

  it("says what is wrong with what it is asked", async () => {
    assert.match(textOf(await exec({})), /command/);
    assert.match(textOf(await exec({ command: "true", workdir: "/not/there" })), /not a directory/);
    assert.match(textOf(await act("dance")), /action/);
    assert.match(textOf(await act("poll")), /no session named/);
  });
});
