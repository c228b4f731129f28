/** A client of a simulated gateway: real HTTP over simulated connections. */
import { request } from "node:http";
import type { TimerOwner } from "../../src/platform/simulated/simulation.ts";
import type { Connected, Network } from "./network.ts";

export interface Answer {
  readonly status: number;
  readonly headers: Record<string, string | string[] | undefined>;
  readonly body: string;
}

export interface Exchange {
  /** Rejects when the connection ends before the answer is whole. */
  readonly answer: Promise<Answer>;
  readonly connected: Connected;
}

const client: TimerOwner = { isAlive: true, isStopped: false };

export class SimulatedClient {
  readonly #network: Network;
  readonly #port: number;
  readonly #token: string;

  constructor(network: Network, port: number, token: string) {
    this.#network = network;
    this.#port = port;
    this.#token = token;
  }

  /** Throws ECONNREFUSED. */
  send(
    method: string,
    path: string,
    body?: object | readonly object[],
    headers: Record<string, string> = {},
  ): Exchange {
    const connected = this.#network.connect(this.#port, client);
    connected.socket.on("error", () => {}); // also after the answer
    const answer = new Promise<Answer>((resolve, reject) => {
      const sent = request({
        createConnection: () => connected.socket,
        host: `127.0.0.1:${this.#port}`,
        method,
        path,
        headers: {
          authorization: `Bearer ${this.#token}`,
          accept: "application/json, text/event-stream",
          "content-type": "application/json",
          host: `127.0.0.1:${this.#port}`,
          connection: "close",
          ...headers,
        },
      });
      sent.once("error", reject);
      sent.once("response", (response) => {
        const chunks: Buffer[] = [];
        response.on("data", (chunk: Buffer) => chunks.push(chunk));
        response.once("error", reject);
        response.once("end", () =>
          resolve({
            status: response.statusCode ?? 0,
            headers: response.headers,
            body: Buffer.concat(chunks).toString(),
          }),
        );
      });
      sent.end(body === undefined ? undefined : JSON.stringify(body));
    });
    return { answer, connected };
  }

  async rpc(method: string, params: object = {}): Promise<Record<string, unknown>> {
    const { body } = await this.send("POST", "/rpc", { jsonrpc: "2.0", id: 1, method, params }).answer;
    return JSON.parse(body) as Record<string, unknown>;
  }
}
