/** Background commands and terminals, here and on the node: some end by themselves, some are ended, some with their session. */
import type { RunView } from "../../src/protocol/run.ts";
import { Socket } from "../../test/gateway/helpers/socket.ts";
import { isHere } from "../../test/nodes/helpers/join-node.ts";
import type { Part, Place } from "./part.ts";

const runsMax = 14;
const nodeRunsMax = 4;
/** Percent. */
const chances = { end: 45, now: 40, terminal: 35, session: 15 };
/** With helpers that leave their session, and deaf ones. None of them starts anything later: a look must be able to agree. */
const lines = [
  "sleep 5",
  "seq 2000; sleep 8",
  "setsid sleep 600 & sleep 600",
  "(sleep 600 & sleep 600 & wait) & wait",
  "trap '' HUP TERM; sleep 600",
];

export class Commands implements Part {
  readonly done = { connections: 0, commands: 0, terminals: 0, ended: 0 };
  readonly #place: Place;
  readonly #host: () => string;
  readonly #max: number;
  readonly #live = new Set<string>();

  /** `host`: where the next one runs. */
  constructor(place: Place, host: () => string) {
    this.#place = place;
    this.#host = host;
    this.#max = host() === "local" ? runsMax : nodeRunsMax;
  }

  async step(): Promise<void> {
    const { random } = this.#place;
    const [oldest] = this.#live;
    if (oldest !== undefined && (this.#live.size >= this.#max || random.chance(chances.end))) return this.#end(oldest);
    if (this.#host() === "local" && random.chance(chances.session)) return this.#startAndVanish();
    if (random.chance(chances.terminal)) return this.#terminal();
    const run = await this.#start({ command: random.pick(lines) });
    this.#live.add(run.id);
    this.done.commands++;
  }

  async #rpc(method: string, params: object): Promise<unknown> {
    this.done.connections++;
    return this.#place.gateway.rpc(method, params);
  }

  async #start(params: object): Promise<RunView> {
    const host = this.#host();
    // Its link may have been lost with a front, or to a busy machine: it comes back by itself.
    if (host !== "local") await isHere(this.#place.gateway, host);
    return (await this.#rpc("run.start", { host, cwd: "/", ...params })) as RunView;
  }

  async #terminal(): Promise<void> {
    const { id } = await this.#start({ kind: "pty", command: "sh" });
    this.#live.add(id);
    this.done.terminals++;
    await this.#rpc("run.submit", { id, text: "echo $((6 * 7))" });
    await this.#rpc("run.resize", { id, columns: 100, rows: 30 });
    await this.#rpc("run.poll", { id, screen: true, waitMs: 50 });
  }

  /** Its session is held by a WebSocket that goes without a word. */
  async #startAndVanish(): Promise<void> {
    const { url, token } = this.#place.gateway;
    this.done.connections++;
    const socket = await Socket.open(url, { token });
    const opened = await socket.call("session.open", { leaseMs: 300 });
    const { id: sessionId } = opened.result as { id: string };
    const { error } = await socket.call("run.start", { sessionId, command: this.#place.random.pick(lines) });
    if (error !== undefined) throw new Error(`run.start: ${error.message}`);
    this.done.commands++;
    await socket[Symbol.asyncDispose]();
  }

  async #end(id: string): Promise<void> {
    this.#live.delete(id);
    const killing = this.#rpc("run.kill", { id, now: this.#place.random.chance(chances.now) });
    await killing.catch((thrown: unknown) => {
      // The run of a node that does not return within its lease is given up, and told to whoever waits.
      if (!String(thrown).includes("did not come back within its lease")) throw thrown;
    });
    this.done.ended++;
  }

  async rest(): Promise<void> {
    for (const id of this.#live) await this.#end(id);
  }
}
