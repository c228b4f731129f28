/** Kills the front again and again under a steady load of calls, and tells what it cost each session. */
import { setTimeout as delay } from "node:timers/promises";
import type { Gateway } from "./gateway.ts";
import { HttpRefusal, type McpClient } from "./mcp-client.ts";
import { look, type RoundFacts } from "./session-rounds.ts";
import { until } from "./until.ts";

export interface KillFacts extends Omit<RoundFacts, "ms"> {
  /** From the kill until another front serves. */
  servingMs: number;
  /** From the kill until the last of all sessions had an answer to a call that it made afterwards. */
  answeredMs: number;
  /** Most calls that one session lost to this kill; refused connections, which cost nothing but a retry, do not count. */
  lostCalls: number;
}

/** Between a session's calls, in milliseconds. */
const pauseMs = 20;
const answerBoundMs = 20_000;

/** One session that calls and calls, and takes up again what was broken. */
class Caller {
  readonly #client: McpClient;
  #stopped = false;
  #running: Promise<void> | undefined;
  /** When the newest call that has its answer was made. */
  askedAt = 0;
  answeredAt = 0;
  lost = 0;
  /** The session was not known any more: no retry helps. */
  forgotten = 0;

  constructor(client: McpClient) {
    this.#client = client;
  }

  start(): void {
    this.#running = this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped = true;
    await this.#running;
  }

  async #run(): Promise<void> {
    while (!this.#stopped) {
      const askedAt = performance.now();
      try {
        const { error } = await this.#client.call("echo");
        if (error !== undefined) throw new Error(error.message);
        this.askedAt = askedAt;
        this.answeredAt = performance.now();
      } catch (thrown) {
        if (thrown instanceof HttpRefusal && thrown.status === 404) this.forgotten += 1;
        else if (!/ECONNREFUSED|HTTP 503/.test(String(thrown))) this.lost += 1;
      }
      await delay(pauseMs);
    }
  }
}

/** Every run as `<run id> <pid>`: the same list before and after means the same processes. */
export async function runPids(gateway: Gateway): Promise<string[]> {
  const runs = (await gateway.rpc("run.list", { all: false })) as { id: string; pid: number; state: string }[];
  return runs.map(({ id, pid, state }) => `${id} ${pid} ${state}`).toSorted();
}

/** Opens one session for each client on each server; all call until the last kill is over. Throws when a session is forgotten. */
export async function playKills(
  gateway: Gateway,
  shape: { clients: number; servers: string[]; kills: number },
  tell: (facts: KillFacts) => void = () => {},
): Promise<{ facts: KillFacts[]; before: string[]; after: string[] }> {
  const clients = Array.from({ length: shape.clients }, () => shape.servers.map((name) => gateway.mcp(name))).flat();
  await Promise.all(clients.map((client) => client.initialize()));
  const before = await runPids(gateway);
  const callers = clients.map((client) => new Caller(client));
  const facts: KillFacts[] = [];
  try {
    for (const caller of callers) caller.start();
    for (let kill = 0; kill < shape.kills; kill += 1) {
      await until("all sessions are served", () => callers.every(({ askedAt }) => askedAt > 0), {
        boundMs: answerBoundMs,
      });
      const found = await killOnce(gateway, callers);
      facts.push(found);
      tell(found);
    }
    const forgotten = callers.reduce((sum, caller) => sum + caller.forgotten, 0);
    if (forgotten > 0) throw new Error(`${forgotten} calls found their session gone`);
  } finally {
    await Promise.all(callers.map((caller) => caller.stop()));
    for (const client of clients) client.vanish();
  }
  return { facts, before, after: await runPids(gateway) };
}

async function killOnce(gateway: Gateway, callers: Caller[]): Promise<KillFacts> {
  const { front } = gateway.pids;
  const lostBefore = callers.map(({ lost }) => lost);
  const killedAt = performance.now();
  process.kill(front, "SIGKILL");
  await gateway.renewed({ front });
  const servingMs = Math.round(performance.now() - killedAt);
  const all = () => callers.every(({ askedAt, forgotten }) => askedAt > killedAt || forgotten > 0);
  await until("every session answers again", all, { boundMs: answerBoundMs });
  const answeredMs = Math.round(Math.max(...callers.map(({ answeredAt }) => answeredAt)) - killedAt);
  const lostCalls = Math.max(...callers.map(({ lost }, index) => lost - (lostBefore[index] ?? 0)));
  return { servingMs, answeredMs, lostCalls, ...look(gateway) };
}
