/** What clients do that leaked connections elsewhere: each fault as a program, with the time in which we must be rid of it. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import type net from "node:net";
import { fileURLToPath } from "node:url";
import type { FrontConfig } from "../../../src/protocol/keeper/front-config.ts";
import { closeFrame, connectRaw, frame, opcodes, RawWebSocket, upgradeText } from "./frames.ts";

type Limits = FrontConfig["connections"];

export interface Place {
  url: string;
  token: string;
  limits: Limits;
}

/** A fault that is under way: the client's port, and how to take away what is left of the client. */
export interface Running {
  port: number;
  clean: () => Promise<void> | void;
}

export interface Fault {
  name: string;
  /** The configured deadlines that must end it, together. */
  deadlineMs: (limits: Limits) => number;
  start: (place: Place) => Promise<Running>;
}

const running = (socket: net.Socket): Running => ({
  port: socket.localPort ?? 0,
  clean: () => void socket.destroy(),
});

const call = (id: number, data: string) =>
  frame(opcodes.text, JSON.stringify({ jsonrpc: "2.0", id, method: "gateway.ping", params: { data } }));

const openSocket = async ({ url, token }: Place) => (await RawWebSocket.open(url, token)).socket;

/** Calls whose answers nobody reads, 12 MB of them: more than the kernel's buffers and ours. */
function askMuch(socket: net.Socket): void {
  socket.pause();
  const data = "x".repeat(60_000);
  for (let id = 0; id < 200; id++) socket.write(call(id, data));
}

async function stoppedClient(place: Place): Promise<Running> {
  const program = fileURLToPath(new URL("../../fixtures/socket-client.ts", import.meta.url));
  const child: ChildProcess = spawn(process.execPath, [program, place.url], {
    stdio: ["pipe", "pipe", "inherit"],
    env: { ...process.env, TEST_TOKEN: place.token },
  });
  const [port] = (await Promise.race([
    once(child.stdout!, "data"),
    once(child, "exit").then(() => {
      throw new Error("the client could not connect");
    }),
  ])) as [Buffer];
  child.kill("SIGSTOP");
  const clean = async () => {
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  };
  return { port: Number(port.toString()), clean };
}

/** As the kernel's buffers of a sender allow, a byte now and then of a head that never ends. */
async function slowLoris(place: Place): Promise<Running> {
  const socket = await connectRaw(place.url);
  socket.resume().write("POST /rpc HTTP/1.1\r\nHost: localhost\r\nX-Slow: ");
  const timer = setInterval(() => socket.write("x"), 50);
  return {
    port: socket.localPort ?? 0,
    clean: () => {
      clearInterval(timer);
      socket.destroy();
    },
  };
}

const rpcText = (token: string, body: string) =>
  `POST /rpc HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\nContent-Type: application/json\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

export const faults: Fault[] = [
  {
    name: "WebSocket client is stopped (SIGSTOP)",
    deadlineMs: ({ heartbeatMs, heartbeatGraceMs }) => heartbeatMs + heartbeatGraceMs,
    start: stoppedClient,
  },
  {
    name: "WebSocket client that is there and answers no ping",
    deadlineMs: ({ heartbeatMs, heartbeatGraceMs }) => heartbeatMs + heartbeatGraceMs,
    start: async (place) => running(await openSocket(place)),
  },
  {
    name: "TCP open and not a byte",
    deadlineMs: ({ headMs, closingMs }) => headMs + closingMs,
    start: async ({ url }) => running((await connectRaw(url)).resume()),
  },
  {
    name: "slow-loris",
    deadlineMs: ({ headMs, closingMs }) => headMs + closingMs,
    start: slowLoris,
  },
  {
    name: "upgraded and never authenticated",
    deadlineMs: ({ authMs, closingMs }) => authMs + closingMs,
    start: async ({ url }) => running((await RawWebSocket.open(url)).socket),
  },
  {
    name: "our close frame ignored",
    deadlineMs: ({ closingMs }) => closingMs,
    start: async (place) => {
      const socket = await openSocket(place);
      socket.write(frame(opcodes.binary, "not ours"));
      return running(socket);
    },
  },
  {
    name: "its own close frame sent, and stays",
    deadlineMs: ({ closingMs }) => closingMs * 2,
    start: async (place) => {
      const socket = await openSocket(place);
      socket.write(closeFrame(1000));
      return running(socket);
    },
  },
  {
    name: "WebSocket client never reads",
    deadlineMs: ({ slowMs }) => slowMs,
    start: async (place) => {
      const socket = await openSocket(place);
      askMuch(socket);
      return running(socket);
    },
  },
  {
    name: "paused with unread data, and the client has ended its side",
    deadlineMs: ({ slowMs }) => slowMs,
    start: async (place) => {
      const socket = await openSocket(place);
      askMuch(socket);
      socket.end();
      return running(socket);
    },
  },
  {
    name: "half-closed WebSocket",
    deadlineMs: ({ closingMs }) => closingMs,
    start: async (place) => {
      const socket = await openSocket(place);
      socket.end();
      return running(socket);
    },
  },
  {
    name: "upgrade sent, and the client has left",
    deadlineMs: ({ closingMs }) => closingMs,
    start: async ({ url, token }) => {
      const socket = await connectRaw(url);
      const port = socket.localPort ?? 0;
      socket.end(upgradeText(token));
      await once(socket, "finish");
      socket.destroy();
      return { port, clean: () => {} };
    },
  },
  {
    name: "refused upgrade, and the client stays",
    deadlineMs: ({ closingMs }) => closingMs,
    start: async ({ url }) => {
      const socket = (await connectRaw(url)).resume();
      socket.write(upgradeText("wrong"));
      return running(socket);
    },
  },
  {
    name: "refused token over HTTP, and the client stays",
    deadlineMs: ({ authMs, closingMs }) => authMs + closingMs,
    start: async ({ url }) => {
      const socket = (await connectRaw(url)).resume();
      socket.write(rpcText("wrong", ""));
      return running(socket);
    },
  },
  {
    name: "idle HTTP client that stays",
    deadlineMs: ({ idleMs, closingMs }) => idleMs + 1000 + closingMs,
    start: async ({ url, token }) => {
      const socket = (await connectRaw(url)).resume();
      socket.write(rpcText(token, '{"jsonrpc":"2.0","id":1,"method":"gateway.ping"}'));
      return running(socket);
    },
  },
  {
    name: "HTTP client never reads its answers",
    deadlineMs: ({ slowMs }) => slowMs,
    start: async ({ url, token }) => {
      const socket = await connectRaw(url);
      socket.pause();
      const body = JSON.stringify({
        jsonrpc: "2.0",
        id: 1,
        method: "gateway.ping",
        params: { data: "x".repeat(60_000) },
      });
      for (let n = 0; n < 200; n++) socket.write(rpcText(token, body));
      return running(socket);
    },
  },
];
