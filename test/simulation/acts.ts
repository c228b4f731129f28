/** What the clients and operators of named scenes do, and how a scene says what it was promised. */
import type { Life } from "./host.ts";
import { BrokenPromise, type World } from "./world.ts";

export const settleBoundMs = 60_000;
const initialize = {
  protocolVersion: "2025-06-18",
  capabilities: {},
  clientInfo: { name: "client", version: "1" },
};

/** What a client or an operator does; what fails for a crash is tried no further. */
export type Scene = (world: World) => Promise<void>;

export interface RunView {
  readonly id: string;
  readonly state: string;
  readonly endReason: string | null;
  readonly exitCode: number | null;
  readonly survivors: readonly object[];
}

export function must(isKept: boolean, promise: string): void {
  if (!isKept) throw new BrokenPromise(promise);
}

export async function open(world: World, path: string, token?: string): Promise<string> {
  const body = { jsonrpc: "2.0", id: 1, method: "initialize", params: initialize };
  const { headers } = await world.client(token).send("POST", path, body).answer;
  return String(headers["mcp-session-id"] ?? "");
}

/** Resolves with the status and body of the answer. */
export async function call(world: World, path: string, session: string, name = "echo", token?: string) {
  const params = { name, arguments: { text: "hold fast" } };
  const body = { jsonrpc: "2.0", id: 2, method: "tools/call", params };
  const { status, body: got } = await world.client(token).send("POST", path, body, { "mcp-session-id": session })
    .answer;
  return { status, body: got };
}

export async function mustAnswer(world: World, path: string, session: string, name = "echo"): Promise<void> {
  const { status, body } = await call(world, path, session, name);
  must(status === 200 && body.includes("hold fast"), `a call is not answered: ${status} ${body}`);
}

export async function close(world: World, path: string, session: string): Promise<void> {
  await world.client().send("DELETE", path, undefined, { "mcp-session-id": session }).answer;
}

export function startRun(world: World, line: string, more: object = {}): Promise<Record<string, unknown>> {
  return world.client().rpc("run.start", { argv: ["/bin/sh", "-c", line], cwd: "/", ...more });
}

/** The result; throws with the refusal. */
export async function ask<T>(world: World, method: string, params: object = {}, token?: string): Promise<T> {
  const answer = await world.client(token).rpc(method, params);
  if (answer["error"] !== undefined) throw new BrokenPromise(`${method}: ${JSON.stringify(answer["error"])}`);
  return answer["result"] as T;
}

/** The code of the refusal; undefined when there was none. */
export async function refusalOf(
  world: World,
  method: string,
  params: object = {},
  token?: string,
): Promise<string | undefined> {
  const { error } = await world.client(token).rpc(method, params);
  return (error as { data?: { code?: string } } | undefined)?.data?.code;
}

export async function begin(world: World, line: string, more: object = {}): Promise<RunView> {
  const run = await ask<RunView>(world, "run.start", { argv: ["/bin/sh", "-c", line], cwd: "/", ...more });
  await world.until(`${line} runs`, () => livesOf(world, run.id) > 0, settleBoundMs);
  return run;
}

/** Live processes of a run. */
export function livesOf(world: World, run: string): number {
  return world.servants.filter(({ origin }) => origin === run).length;
}

export async function recordOf(world: World, run: string): Promise<RunView> {
  return ask<RunView>(world, "run.wait", { id: run });
}

export async function tookMs(world: World, work: Promise<unknown>): Promise<number> {
  const { nowMs } = world.simulation;
  await work;
  return world.simulation.nowMs - nowMs;
}

/** Kills the front and resolves when the next one serves. */
export async function killFront(world: World): Promise<void> {
  const own = world.site.front?.own;
  if (own === undefined) return;
  world.site.machine.kernel.signal(own, "SIGKILL");
  await world.until("the front is gone", () => !own.isAlive, settleBoundMs);
  await world.until("another one serves", () => world.isServing, settleBoundMs);
}

export function killOne(world: World, command: string): void {
  const { kernel } = world.site.machine;
  const victim = kernel.processes.find((one) => one.command === command && one.isAlive);
  if (victim === undefined) throw new BrokenPromise(`no ${command} lives`);
  kernel.signal(victim, "SIGKILL");
}

export interface Status {
  readonly front: { readonly pid: number; readonly restarts: number };
  readonly guardian: { readonly pid: number; readonly state: string; readonly restarts: number };
  readonly crashes: readonly { readonly who: string; readonly why: string; readonly downMs: number | null }[];
  readonly runs: number;
  readonly reconciled: readonly string[];
  readonly sessions: number;
}

export function lifeOf(world: World): Life {
  const { life } = world.site;
  if (life === undefined) throw new Error("no keeper has been started");
  return life;
}

/** Resolves with how this life ends; the next one is the service manager's. */
export async function endOf(world: World, life: Life, boundMs: number) {
  const how = { isOver: false };
  void life.over.then(
    () => (how.isOver = true),
    () => (how.isOver = true),
  );
  await world.until("the gateway has ended", () => how.isOver, boundMs);
  const end = await life.over;
  await world.until("its process is gone", () => !life.platform.own.isAlive, 1000);
  return end;
}

/** Asks the gateway for a new front. */
export const restart = (world: World) =>
  world
    .client()
    .rpc("gateway.restart", {})
    .catch(() => {});
