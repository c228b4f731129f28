/**
 * One look must not wait for a host: with 300 runs, an ssh host whose link is cut, one that accepts and says nothing, and a node
 * that is stopped, every list is answered in time, with what is known and marked as such.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { appendFileSync, readFileSync } from "node:fs";
import http from "node:http";
import { createServer, type Server, type Socket as TcpSocket } from "node:net";
import { text } from "node:stream/consumers";
import { after, before, describe, it, type TestContext } from "node:test";
import type { RunView } from "../../src/protocol/run.ts";
import type { MethodName, ParamsOf, ResultOf } from "../../src/protocol/api/index.ts";
import { inLanes } from "../helpers/crowd.ts";
import { FarSide } from "../helpers/far-side.ts";
import { Gateway, runCommand } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { isWhole } from "../helpers/long.ts";
import { needs, needsNamespace, needsSshd } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { ProcessLimit } from "../helpers/process-limit.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { joinNode } from "../nodes/helpers/join-node.ts";
import type { NodeProcess } from "../nodes/helpers/node-process.ts";
import { Socket } from "./helpers/socket.ts";

const boundMs = 500;
const rounds = isWhole ? 20 : 8;
const runs = { local: 284, node: 10, ssh: 6 };
const sessionsHeld = 20;
/** Three late beats end a link: long enough for the node to be silent and connected in every look. */
const nodes = { leaseMs: 600_000, beatMs: 60_000 };
/** A run is a command and its launcher; gateway, node, sshd and ssh are a few more. */
const processesMax = 1500;
const skip = needsSshd() || needsNamespace("net") || needs("ip", "nsenter");

/** A client that keeps its connection, as a dashboard does. */
class WarmClient implements Disposable {
  readonly #gateway: Gateway;
  readonly #agent = new http.Agent({ keepAlive: true, maxSockets: 1 });

  constructor(gateway: Gateway) {
    this.#gateway = gateway;
  }

  async call<N extends MethodName>(method: N, params: ParamsOf<N>): Promise<ResultOf<N>> {
    const { url, token } = this.#gateway;
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const request = http.request(`${url}/rpc`, { method: "POST", headers, agent: this.#agent });
    request.end(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params }));
    const [response] = (await once(request, "response")) as [http.IncomingMessage];
    const answer = JSON.parse(await text(response)) as { result: ResultOf<N>; error?: { message: string } };
    if (answer.error !== undefined) throw new Error(`${method}: ${answer.error.message}`);
    return answer.result;
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

/** Accepts and never says a word. */
class SilentHost implements AsyncDisposable {
  readonly #server: Server;
  readonly #sockets = new Set<TcpSocket>();

  static async start(): Promise<SilentHost> {
    const silent = new SilentHost();
    await once(silent.#server, "listening");
    return silent;
  }

  private constructor() {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket.on("error", () => {}));
    }).listen(0, "127.0.0.1");
  }

  get port(): number {
    return (this.#server.address() as { port: number }).port;
  }

  get visitors(): number {
    return this.#sockets.size;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
    await once(this.#server, "close");
  }
}

interface Times {
  median: number;
  worst: number;
}

/** For how long a process was ready and got no processor: a busy machine is no host that hangs. */
function crowdedMs(pid: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${pid}/schedstat`, "latin1").split(" ")[1]) / 1e6;
  } catch {
    return 0; // a kernel without these figures
  }
}

/** `worker`: the process that does most of the work for an answer. */
async function timed(ask: () => Promise<unknown>, worker: number): Promise<Times> {
  const taken: number[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const [began, crowded] = [performance.now(), crowdedMs(worker)];
    await ask();
    taken.push(performance.now() - began - (crowdedMs(worker) - crowded));
  }
  taken.sort((first, second) => first - second);
  return { median: Math.round(taken[rounds >> 1] ?? 0), worst: Math.round(taken.at(-1) ?? 0) };
}

const commands = [["status"], ["ps"], ["sessions", "list"], ["process", "list"], ["nodes", "list"]];

/** The fastest of three, which a busy machine disturbs least. */
async function fastest(home: Home, words: string[]): Promise<number> {
  let fastestMs = Infinity;
  for (let round = 0; round < 3; round += 1) {
    const began = performance.now();
    const { code, stderr } = await runCommand(home, words);
    assert.equal(code, 0, stderr);
    fastestMs = Math.min(fastestMs, performance.now() - began);
  }
  return Math.round(fastestMs);
}

leavesNothing();

describe("a host that does not answer holds up no list", { skip, timeout: patiently(240_000) }, () => {
  let limit: ProcessLimit;
  let far: FarSide;
  let silent: SilentHost;
  let home: Home;
  let gateway: Gateway;
  let node: NodeProcess;
  let client: WarmClient;
  let pending: Promise<unknown> | undefined;
  /** What each command takes while all hosts answer: mostly its own start. */
  const quietMs = new Map<string[], number>();
  const clients: Socket[] = [];

  before(async () => {
    limit = new ProcessLimit(processesMax);
    far = await FarSide.start({ wire: true });
    silent = await SilentHost.start();
    appendFileSync(far.config, `Host silent\n  HostName 127.0.0.1\n  Port ${silent.port}\n`);
    home = new Home(bestTier(), {
      bind: ["127.0.0.1"],
      exec: { enabled: true, allowHosts: ["ssh:far", "ssh:silent"] },
      stop: { stdinGraceMs: 200, termGraceMs: 300 },
      nodes,
      // Silent for a while before it is lost: both are met.
      ssh: { heartbeatMs: 500, heartbeatTimeoutMs: 8000 },
    });
    gateway = await Gateway.start(home, [], { PATH: `${far.path}:${process.env["PATH"]}` });
    node = await joinNode(gateway, "stopped", { config: { stop: { stdinGraceMs: 200, termGraceMs: 300 } } });
    client = new WarmClient(gateway);
    for (let n = 0; n < sessionsHeld; n += 1) {
      const socket = await Socket.open(gateway.url, { token: gateway.token });
      await socket.call("session.open");
      clients.push(socket);
    }
    const start = (host: string) => gateway.rpc("run.start", { host, argv: ["sleep", "600"], cwd: "/" });
    for (let n = 0; n < runs.ssh; n += 1) await start("ssh:far");
    await inLanes(runs.node + runs.local, 4, async (n) => void (await start(n < runs.node ? "stopped" : "local")));
  });

  after(async () => {
    for (const pid of stoppedPids()) process.kill(pid, "SIGCONT");
    far.mend();
    for (const socket of clients) await socket[Symbol.asyncDispose]();
    client[Symbol.dispose]();
    await gateway.stop();
    await pending;
    await node[Symbol.asyncDispose]();
    await silent[Symbol.asyncDispose]();
    await far[Symbol.asyncDispose]();
    await home[Symbol.asyncDispose]();
    limit[Symbol.dispose]();
  });

  const stoppedPids = () => [node.pid, node.record.front.pid];

  async function answersInTime(t: TestContext, when: string): Promise<void> {
    const asked: [name: string, ask: () => Promise<unknown>][] = [
      ["ps, process list", () => client.call("run.list", {})],
      ["process list --all", () => client.call("run.list", { all: true })],
      ["status, its hosts", () => client.call("gateway.status", {})],
      ["sessions list", () => client.call("session.list", {})],
      ["nodes list", () => client.call("node.list", {})],
      ["nodes describe", () => client.call("node.describe", { node: "stopped" })],
    ];
    for (const [name, ask] of asked) {
      const { median, worst } = await timed(ask, gateway.pids.keeper);
      t.diagnostic(`${when}: ${name}: median ${median} ms, worst ${worst} ms`);
      assert.ok(worst < boundMs, `${when}: ${name} took ${worst} ms (median ${median})`);
    }
  }

  const listed = async (): Promise<RunView[]> => client.call("run.list", {});

  it("while all hosts answer", async (t) => {
    t.diagnostic(limit.holds ? `at most ${processesMax} processes` : "no pids controller for a bound here");
    assert.equal((await listed()).length, runs.local + runs.node + runs.ssh);
    await answersInTime(t, "all well");
    for (const words of commands) quietMs.set(words, await fastest(home, words));
  });

  it("with a node stopped, a link cut, and an ssh host that says nothing, all at once", async (t) => {
    for (const pid of stoppedPids()) process.kill(pid, "SIGSTOP");
    far.cut();
    pending = gateway.rpc("run.start", { host: "ssh:silent", argv: ["true"] }).catch(() => {}); // it never answers
    await until("an ssh at the silent host", () => silent.visitors > 0, { boundMs: 20_000 });
    const farSilentSince = async () =>
      (await client.call("gateway.status", {})).hosts.find(({ host }) => host === "ssh:far")?.silentSince ?? null;
    const overdue = async () => (await farSilentSince()) !== null;
    await until("the cut link owes a heartbeat", overdue, { boundMs: 8000, everyMs: 20 });
    assert.equal(await farSilentSince(), await farSilentSince(), "one moment, whenever it is looked at");
    assert.ok((await listed()).every(({ host, silentSince }) => host !== "ssh:far" || silentSince !== null));
    await answersInTime(t, "silent hosts");
    const all = await listed();
    const stopped = all.filter(({ host }) => host === "stopped");
    assert.equal(stopped.length, runs.node, "known runs are listed all the same");
    assert.ok(
      stopped.every((run) => run.silentSince !== null && run.processes.length === 1),
      "as they were last known",
    );
    assert.equal(all.filter(({ host }) => host === "ssh:far").length, runs.ssh);
    assert.ok(all.filter(({ host }) => host === "local").every((run) => run.silentSince === null));
    const [view] = await client.call("node.list", {});
    assert.ok(view?.connected === true && view.silentSince !== null && view.lastSeenAt === view.silentSince);
  });

  it("and the commands take no longer than that for it", async (t) => {
    t.diagnostic(`${await fastest(home, ["--version"])} ms for the start of the program alone`);
    for (const words of commands) {
      const [ms, quiet] = [await fastest(home, words), quietMs.get(words) ?? 0];
      t.diagnostic(`${words.join(" ")}: ${ms} ms, ${quiet} ms while all hosts answered`);
      // Twice, since another start on a busy machine may take twice as long.
      assert.ok(ms < 2 * quiet + boundMs, `${words.join(" ")} took ${ms} ms`);
    }
  });
});
