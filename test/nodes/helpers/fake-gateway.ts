/** A gateway of a few lines, written from the contract alone: it takes a node in, or does not, and asks it what the test wants. */
import { once } from "node:events";
import { createServer as createPlain, type Server } from "node:http";
import { createServer as createTls } from "node:https";
import type { AddressInfo } from "node:net";
import { WebSocketServer, type WebSocket } from "ws";
import { randomBytes } from "node:crypto";
import type { RunView } from "../../../src/protocol/run.ts";
import {
  readNodeMessage,
  nodeRequests,
  type GatewayMessage,
  type NodeRequestName,
  type NodeRequests,
  type NodeMessage,
} from "../../../src/protocol/node/messages.ts";
import { isProven, nodeIdOf } from "../../../src/protocol/node/proof.ts";
import { backgroundSpec } from "../../helpers/background-spec.ts";
import { until } from "../../helpers/until.ts";

const boundMs = 15_000;

/** Of a command that a gateway waits for. */
const ofNode = { host: "mill", background: false, streams: "apart", leaseMs: 5000, onFrontLoss: "kill" } as const;

export interface Ways {
  id?: string;
  tls?: { cert: string; key: string; fingerprint: string };
  port?: number;
  /** Instead of a welcome at once. */
  answer?: (proof: Extract<NodeMessage, { type: "prove" }>) => GatewayMessage;
  beatMs?: number;
  /** It asks for no beats of its own accord. */
  mute?: boolean;
}

/** One connection of a node. */
export class Caller {
  readonly socket: WebSocket;
  readonly words: NodeMessage[] = [];
  readonly proofs: boolean[] = [];
  closed: number | undefined;
  #nextId = 1;

  constructor(socket: WebSocket) {
    this.socket = socket;
    socket.on("close", (code) => {
      this.closed = code;
    });
  }

  say(word: GatewayMessage): void {
    this.socket.send(JSON.stringify(word));
  }

  async hears<T extends NodeMessage["type"]>(
    type: T,
    test: (word: Extract<NodeMessage, { type: T }>) => boolean = () => true,
  ) {
    const look = () =>
      this.words.find((word): word is Extract<NodeMessage, { type: T }> => word.type === type && test(word as never));
    return until(`the node says ${type}`, look, { boundMs, everyMs: 5 });
  }

  /** Throws a refusal as `code: message`. */
  async ask<N extends NodeRequestName>(name: N, params: NodeRequests[N]["params"]): Promise<NodeRequests[N]["result"]> {
    const id = this.#nextId++;
    this.say({ type: "ask", id, name, params } as GatewayMessage);
    const look = () => this.words.find((word) => (word.type === "reply" || word.type === "refusal") && word.id === id);
    const answer = await until(`an answer to ${name}`, look, { boundMs, everyMs: 2 });
    if (answer.type === "refusal") throw new Error(`${answer.code}: ${answer.message}`);
    const { result } = answer as { result: NodeRequests[N]["result"] };
    nodeRequests[name].result.parse(result);
    return result;
  }

  start(request: string, argv: string[], more: Partial<NodeRequests["exec.start"]["params"]> = {}): Promise<RunView> {
    return this.ask(
      "exec.start",
      backgroundSpec({ ...ofNode, request, argv, ...more }) as NodeRequests["exec.start"]["params"],
    );
  }

  /** All that is printed on the stream until the run is over. */
  async output(run: string, stream: "stdout" | "stderr" = "stdout"): Promise<string> {
    let [offset, text] = [0, ""];
    for (;;) {
      const asked = { run, stream, offset, bytesMax: 65_536, waitMs: 1000, viewer: false, pace: true };
      const view = await this.ask("exec.read", asked);
      const bytes = Buffer.from(view.bytes, "base64");
      text += bytes.toString();
      offset = view.offset + bytes.length;
      if (view.run.state === "exited" && offset >= view.printed) return text;
    }
  }

  ended(request: string): Promise<RunView> {
    return this.hears("state", (word) => word.request === request && word.run.state === "exited").then(
      ({ run }) => run,
    );
  }
}

export class FakeGateway implements AsyncDisposable {
  readonly callers: Caller[] = [];
  readonly id: string;
  readonly #ways: Ways;
  readonly #server: Server;
  readonly #sockets: WebSocketServer;

  private constructor(ways: Ways) {
    this.#ways = ways;
    this.id = ways.id ?? randomBytes(8).toString("hex");
    this.#server = ways.tls === undefined ? createPlain() : createTls(ways.tls);
    this.#sockets = new WebSocketServer({ server: this.#server, path: "/node" });
    this.#sockets.on("connection", (socket) => this.#take(socket));
  }

  static async open(ways: Ways = {}): Promise<FakeGateway> {
    const gateway = new FakeGateway(ways);
    gateway.#server.listen(ways.port ?? 0, "127.0.0.1");
    await once(gateway.#server, "listening");
    return gateway;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get url(): string {
    return `http://127.0.0.1:${this.port}`;
  }

  /** The `count`th connection on which the node was welcome and told what it runs. */
  async arrived(count = 1): Promise<Caller> {
    const look = () =>
      this.callers.filter((caller) => caller.words.some((word) => word.type === "runs" && !word.more))[count - 1];
    return until(`connection ${count} of a node`, look, { boundMs, everyMs: 5 });
  }

  #take(socket: WebSocket): void {
    const caller = new Caller(socket);
    this.callers.push(caller);
    const nonce = randomBytes(32).toString("base64url");
    socket.on("error", () => {}); // "close" follows
    socket.on("message", (data: Buffer) => {
      const heard = readNodeMessage(data.toString());
      if ("wrong" in heard) throw new Error(`the node says what it may not: ${heard.wrong}`);
      if (heard.message.type === "prove") this.#judge(caller, nonce, heard.message);
      caller.words.push(heard.message);
    });
    caller.say({ type: "challenge", nonce, gateway: this.id, version: "0" });
  }

  #judge(caller: Caller, nonce: string, proof: Extract<NodeMessage, { type: "prove" }>): void {
    const fingerprint = this.#ways.tls?.fingerprint ?? "";
    caller.proofs.push(isProven({ ...proof, nonce, gateway: this.id, fingerprint }, proof.signature));
    const node = nodeIdOf(proof.publicKey);
    // Three of them are silence; this gateway lives in a test that may be busy.
    const { beatMs = 1000, mute = false } = this.#ways;
    const word = this.#ways.answer?.(proof) ?? { type: "welcome", node, name: proof.name, leaseMs: 5000, beatMs };
    caller.say(word);
    if (mute || word.type !== "welcome") return;
    // Numbers of its own, so that they are never taken for an answer to what the test asks.
    let beat = 1_000_000;
    const timer = setInterval(
      () => caller.say({ type: "ask", id: beat++, name: "lease.renew", params: { leaseMs: 5000 } }),
      beatMs,
    );
    caller.socket.once("close", () => clearInterval(timer));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets.clients) socket.terminate();
    this.#sockets.close();
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, "close");
  }
}
