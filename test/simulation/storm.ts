/** Minutes in which clients do what clients do, and everything fails that can, as a seed draws it. Then quiet, and a count. */
import { Faults } from "./faults.ts";
import { NodeActs } from "./node-acts.ts";
import { nodeName } from "./node-host.ts";
import { NodeFaults } from "./node-faults.ts";
import { abandonedMs, disagreement } from "./node-scenes.ts";
import { addStrikes, statesOf, type Strikes } from "./strikes.ts";
import { TimeFaults } from "./time-faults.ts";
import { BrokenPromise, endBoundMs, gatewayConfig, World, type WorldOptions } from "./world.ts";
import type { SimulatedClient } from "./client.ts";

/** Longest pause of a client between two acts; most are short. */
const pauseMsMax = 40_000;
/** Longest time for a client to get an answer, or to learn that there will be none. */
const answerBoundMs = 400_000;
const settleBoundMs = 60_000;

interface OpenSession {
  readonly path: string;
  readonly id: string;
  readonly number: number;
}

export interface StormOptions extends WorldOptions {
  readonly minutes: number;
}

/** How often each kind of thing was done. */
export type Tally = Map<string, number>;

export class Storm {
  readonly world: World;
  readonly tally: Tally = new Map();
  readonly strikes: Strikes = {};
  readonly #endMs: number;
  readonly #faults: Faults;
  readonly #sessions: OpenSession[] = [];
  readonly #pending = new Set<Promise<unknown>>();
  readonly #runs: string[] = [];
  #marks = 0;
  #clients = 0;

  constructor({ minutes, ...options }: StormOptions) {
    // Every other world has a node.
    const node = options.seed % 2 === 0;
    const { mcpServers } = gatewayConfig;
    const far = { command: "/bin/cat", host: nodeName };
    this.world = new World({ node, ...(node ? { config: { mcpServers: { ...mcpServers, far } } } : {}), ...options });
    this.#endMs = minutes * 60_000;
    this.#faults = new Faults(this.world, (what) => this.#strike(what));
  }

  /** Resolves when all of it is over and nothing is left; rejects with the broken promise. */
  async run(): Promise<void> {
    const { world } = this;
    world.begin();
    await world.play(this.#play(), this.#endMs + answerBoundMs + 4 * settleBoundMs);
  }

  async #play(): Promise<void> {
    const { world } = this;
    await world.until("the first gateway serves", () => world.isServing, settleBoundMs);
    const done = (what: string) => this.#count(what);
    const strike = (what: string) => this.#strike(what);
    const { node } = world;
    const faults = node && new NodeFaults(world, node, strike);
    const acts = node && new NodeActs(world, done);
    const times = new TimeFaults(world, strike);
    await Promise.all([
      this.#useIt(),
      this.#useIt(),
      this.#faults.rage(this.#endMs),
      times.rage(this.#endMs),
      acts?.use(this.#endMs),
      faults?.rage(this.#endMs),
    ]);
    this.#faults.heal();
    await world.until("a gateway serves again", () => world.isServing, settleBoundMs);
    await faults?.heal();
    await this.#settle();
    await world.end();
    await acts?.answered();
    await this.#answered();
    const twice = [...world.births].filter(([, count]) => count > 1);
    if (twice.length > 0) throw new BrokenPromise(`started more than once: ${JSON.stringify(twice)}`);
    await world.until("every connection is closed", () => world.network.open.length === 0, endBoundMs);
  }

  #strike(fault: string): void {
    const once = Object.fromEntries(statesOf(this.world).map((state) => [state, 1]));
    addStrikes(this.strikes, { [fault]: { all: 1, ...once } });
    this.#count(fault);
  }

  #count(what: string): void {
    this.tally.set(what, (this.tally.get(what) ?? 0) + 1);
    this.world.note(what);
  }

  // ── clients ──

  async #useIt(): Promise<void> {
    const { world } = this;
    const { random } = world.simulation;
    while (world.simulation.nowMs < this.#endMs) {
      await world.clock.sleep(random.fraction() ** 3 * pauseMsMax);
      const act = this.#draw();
      const doing = this.#attempt(act).catch((thrown: unknown) => {
        if (thrown instanceof BrokenPromise) world.fail(thrown.message);
      });
      this.#pending.add(doing);
      void doing.then(() => this.#pending.delete(doing));
      if (random.chance(0.7)) await Promise.race([doing, world.clock.sleep(20_000)]);
    }
  }

  #draw(): (client: SimulatedClient) => Promise<void> {
    const { random } = this.world.simulation;
    const acts = [
      (client: SimulatedClient) => this.#open(client),
      (client: SimulatedClient) => this.#call(client),
      (client: SimulatedClient) => this.#call(client),
      (client: SimulatedClient) => this.#call(client),
      (client: SimulatedClient) => this.#endSession(client),
      (client: SimulatedClient) => this.#startRun(client),
      (client: SimulatedClient) => this.#endRun(client),
      (client: SimulatedClient) => this.#look(client),
    ];
    return random.pick(acts)!;
  }

  async #attempt(act: (client: SimulatedClient) => Promise<void>): Promise<void> {
    // Nobody listens between two lives: the client tries again later.
    if (this.world.isServing) await act(this.world.client());
  }

  async #open(client: SimulatedClient): Promise<void> {
    const { random } = this.world.simulation;
    const paths = ["/mcp/echo", "/mcp/echo", "/mcp/deaf", "/mcp/pooled", "/mcp"];
    const path = random.pick(this.world.node === undefined ? paths : [...paths, "/mcp/far"])!;
    this.#count(`open ${path}`);
    const params = {
      protocolVersion: "2025-06-18",
      capabilities: {},
      clientInfo: { name: "client", version: String(++this.#clients) },
    };
    const { answer, connected } = client.send("POST", path, { jsonrpc: "2.0", id: 1, method: "initialize", params });
    if (random.chance(0.1)) {
      this.#count("client vanishes");
      connected.socket.resetAndDestroy();
    }
    const { status, headers } = await answer;
    const id = headers["mcp-session-id"];
    if (status === 200 && typeof id === "string") this.#sessions.push({ path, id, number: this.#clients });
  }

  async #call(client: SimulatedClient): Promise<void> {
    const { random } = this.world.simulation;
    const session = random.pick(this.#sessions);
    if (session === undefined) return;
    this.#count("call");
    const text = `text ${++this.#marks}`;
    const name = session.path === "/mcp" ? `${random.pick(["echo", "deaf", "pooled"])}__echo` : "echo";
    const params = { name, arguments: { text } };
    const body = { jsonrpc: "2.0", id: this.#marks, method: "tools/call", params };
    const { answer, connected } = client.send("POST", session.path, body, { "mcp-session-id": session.id });
    if (random.chance(0.05)) {
      this.#count("client vanishes");
      connected.socket.resetAndDestroy();
    }
    const { status, body: got } = await answer;
    if (status === 404) this.#forget(session);
    if (status !== 200) return;
    const message = readMessage(got);
    if (message.id !== body.id) throw new BrokenPromise(`the answer to ${body.id} is for ${String(message.id)}`);
    if (message.result !== undefined && !JSON.stringify(message.result).includes(`"${text}"`))
      throw new BrokenPromise(`the answer to ${text} is ${got}`);
  }

  async #endSession(client: SimulatedClient): Promise<void> {
    const session = this.world.simulation.random.pick(this.#sessions);
    if (session === undefined) return;
    this.#count("end session");
    this.#forget(session);
    await client.send("DELETE", session.path, undefined, { "mcp-session-id": session.id }).answer;
  }

  async #startRun(client: SimulatedClient): Promise<void> {
    const { random } = this.world.simulation;
    const mark = `m${++this.#marks}`;
    const what = random.chance(0.4) ? "daemon" : String(Math.floor(random.fraction() * 20_000));
    const scope = random.chance(0.4) ? { scopeKey: `scope${random.below(2)}`, replaceExistingScope: true } : {};
    const more = random.chance(0.2) ? { onFrontLoss: "kill" } : random.chance(0.2) ? { timeoutMs: 4000 } : {};
    this.#count("start run");
    const answer = await client.rpc("run.start", {
      argv: ["/bin/sh", "-c", `${what} ${mark}`],
      cwd: "/",
      ...scope,
      ...more,
    });
    const run = answer["result"] as { id: string } | undefined;
    if (run !== undefined) this.#runs.push(run.id);
  }

  async #endRun(client: SimulatedClient): Promise<void> {
    const { random } = this.world.simulation;
    const id = random.pick(this.#runs);
    if (id === undefined) return;
    this.#count("end run");
    const { result } = await client.rpc("run.kill", { id, now: random.chance(0.2) });
    if (result === undefined) return;
    const left = this.world.servants.filter(({ origin }) => origin === id);
    if (left.length > 0) throw new BrokenPromise(`run.kill answered, and ${left.length} processes of ${id} live`);
  }

  async #look(client: SimulatedClient): Promise<void> {
    this.#count("look");
    const method = this.world.simulation.random.pick(["run.list", "gateway.status", "session.list"])!;
    const before = new Set(this.world.servants.map(({ origin }) => origin));
    const { result } = await client.rpc(method);
    if (method !== "run.list" || result === undefined) return;
    const told = new Set((result as { id: string }[]).map(({ id }) => id));
    // Who lived before it was asked and lives now must be on the list.
    for (const { origin, pid } of this.world.servants)
      if (before.has(origin) && !told.has(origin))
        throw new BrokenPromise(`the list leaves out process ${pid} of ${origin}`);
  }

  #forget(session: OpenSession): void {
    const at = this.#sessions.indexOf(session);
    if (at !== -1) this.#sessions.splice(at, 1);
  }

  // ── after the storm ──

  /** Nothing lives that a run on record does not own, and every row that is open has its processes. */
  async #settle(): Promise<void> {
    const { world } = this;
    await world.until("every process has an owner", () => world.strangers.length === 0, settleBoundMs);
    await world
      .until("both records agree", () => disagreement(world) === undefined, 2 * abandonedMs)
      .catch(() => {
        throw new BrokenPromise(disagreement(world) ?? "they agreed late");
      });
    const sessions = [...this.#sessions];
    for (const session of sessions) {
      this.#forget(session);
      if (world.isServing)
        await world
          .client()
          .send("DELETE", session.path, undefined, { "mcp-session-id": session.id })
          .answer.catch(() => {});
    }
  }

  async #answered(): Promise<void> {
    const all = Promise.all(this.#pending).then(() => true);
    const late = this.world.clock.sleep(answerBoundMs).then(() => false);
    if (!(await Promise.race([all, late])))
      throw new BrokenPromise(`${this.#pending.size} requests were never answered`);
  }
}

/** A message of an answer: JSON, or the last event of a stream. */
function readMessage(body: string): { id?: unknown; result?: unknown; error?: unknown } {
  const data = body.split("\n").findLast((line) => line.startsWith("data:"));
  return JSON.parse(data === undefined ? body : data.slice("data:".length)) as { id?: unknown };
}
