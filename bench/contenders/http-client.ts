/**
 * A lean caller: keep-alive sockets, requests written in one piece, answers cut by length or last chunk. With node:http here
 * the caller would cost as much as the relay that is measured, and every ratio would come out nearer to one.
 */
import net from "node:net";
import { echoAnswer, echoCall, initializeCall, initializedNotice, statelessCall } from "./contender.ts";

interface Reply {
  status: number;
  head: string;
  body: string;
}

/** One whole answer from what was read so far, or undefined while more must come. */
function parseReply(text: string): Reply | undefined {
  const headEnd = text.indexOf("\r\n\r\n");
  if (headEnd === -1) return undefined;
  const head = text.slice(0, headEnd);
  const body = text.slice(headEnd + 4);
  const length = /\r\ncontent-length: (\d+)/i.exec(head)?.[1];
  const isWhole = length === undefined ? isLastChunkIn(head, body) : body.length >= Number(length);
  return isWhole ? { status: Number(head.slice(9, 12)), head, body } : undefined;
}

function isLastChunkIn(head: string, body: string): boolean {
  // Without length and chunks there is no body: 202 and 204.
  return !/\r\ntransfer-encoding: chunked/i.test(head) || body.endsWith("0\r\n\r\n");
}

/** One connection, one request at a time. */
class Lane {
  readonly #socket: net.Socket;
  /** Servers close connections that rest for some seconds, as these do while it is another contender's turn. */
  isOpen = true;
  #text = "";
  #answered: ((reply: Reply) => void) | undefined;
  #failed: ((error: Error) => void) | undefined;

  constructor(hostname: string, port: number) {
    this.#socket = net.connect({ host: hostname, port, noDelay: true });
    // Every text of this bench is ASCII, so characters are bytes.
    this.#socket.setEncoding("latin1").on("data", (chunk: string) => {
      this.#text += chunk;
      const reply = parseReply(this.#text);
      if (reply === undefined) return;
      this.#text = "";
      this.#answered?.(reply);
    });
    this.#socket.on("error", (error) => this.#failed?.(error));
    this.#socket.on("close", () => {
      this.isOpen = false;
      this.#failed?.(new Error("the relay closed the connection"));
    });
  }

  send(request: string): Promise<Reply> {
    return new Promise((resolve, reject) => {
      this.#answered = resolve;
      this.#failed = reject;
      this.#socket.write(request);
    });
  }

  close(): void {
    this.#socket.destroy();
  }
}

export class HttpCaller {
  readonly #hostname: string;
  readonly #port: number;
  readonly #path: string;
  readonly #token: string;
  readonly #tool: string;
  readonly #lanes: Lane[] = [];
  readonly #free: Lane[] = [];
  #session = "";
  #callOf = echoCall;
  #id = 1;

  constructor(url: string, token?: string, tool = "echo") {
    this.#tool = tool;
    const { hostname, port, pathname } = new URL(url);
    this.#hostname = hostname.replaceAll(/^\[|\]$/g, "");
    this.#port = Number(port);
    this.#path = pathname;
    this.#token = token === undefined ? "" : `authorization: Bearer ${token}\r\n`;
  }

  #freeLane(): Lane {
    for (let lane = this.#free.pop(); lane !== undefined; lane = this.#free.pop()) if (lane.isOpen) return lane;
    const lane = new Lane(this.#hostname, this.#port);
    this.#lanes.push(lane);
    return lane;
  }

  async #post(body: string): Promise<Reply> {
    const lane = this.#freeLane();
    const request =
      `POST ${this.#path} HTTP/1.1\r\nhost: localhost:${this.#port}\r\n${this.#token}${this.#session}` +
      `content-type: application/json\r\naccept: application/json, text/event-stream\r\ncontent-length: ${body.length}\r\n\r\n${body}`;
    const reply = await lane.send(request);
    this.#free.push(lane);
    if (reply.status >= 300 || !(reply.status >= 200))
      throw new Error(`HTTP ${reply.status}: ${reply.body.slice(0, 300)}`);
    return reply;
  }

  async initialize(): Promise<void> {
    const { head } = await this.#post(initializeCall(0));
    const session = /\r\nmcp-session-id: ([^\r]+)/i.exec(head)?.[1];
    const version = "mcp-protocol-version: 2025-06-18\r\n";
    this.#session = session === undefined ? version : `mcp-session-id: ${session}\r\n${version}`;
    await this.#post(initializedNotice);
  }

  /** From now on calls are of revision 2026-07-28. */
  keepNoSession(): void {
    this.#session = `mcp-protocol-version: 2026-07-28\r\nmcp-method: tools/call\r\nmcp-name: ${this.#tool}\r\n`;
    this.#callOf = statelessCall;
  }

  readonly call = async (): Promise<void> => {
    const { body } = await this.#post(this.#callOf(this.#id++, this.#tool));
    if (!body.includes(echoAnswer)) throw new Error(`not an echo: ${body.slice(0, 300)}`);
  };

  close(): void {
    for (const lane of this.#lanes) lane.close();
  }
}
