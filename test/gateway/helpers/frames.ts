/** WebSocket frames by hand, also such as no library would send, and the raw connection that carries them. */
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import net from "node:net";

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const;

export interface FrameOptions {
  fin?: boolean;
  /** The three reserved bits, 0 to 7. */
  reserved?: number;
  masked?: boolean;
  /** A length that is declared in place of the true one. */
  declared?: number;
}

export function frame(opcode: number, payload: string | Buffer = "", options: FrameOptions = {}): Buffer {
  const { fin = true, reserved = 0, masked = true } = options;
  const body = Buffer.from(payload);
  const length = options.declared ?? body.length;
  const extended = length < 126 ? 0 : length < 65_536 ? 2 : 8;
  const head = Buffer.alloc(2 + extended);
  head[0] = (fin ? 0x80 : 0) | (reserved << 4) | opcode;
  head[1] = (masked ? 0x80 : 0) | (extended === 0 ? length : extended === 2 ? 126 : 127);
  if (extended === 2) head.writeUInt16BE(length, 2);
  if (extended === 8) head.writeBigUInt64BE(BigInt(length), 2);
  if (!masked) return Buffer.concat([head, body]);
  const mask = randomBytes(4);
  return Buffer.concat([head, mask, body.map((byte, at) => byte ^ mask[at % 4]!)]);
}

export const closeFrame = (code?: number, reason = ""): Buffer => {
  const payload =
    code === undefined ? Buffer.alloc(0) : Buffer.concat([Buffer.from([code >> 8, code & 255]), Buffer.from(reason)]);
  return frame(opcodes.close, payload);
};

export interface HeardFrame {
  opcode: number;
  payload: Buffer;
}

/** Splits what a server sent into frames: whole, unmasked ones, as ours are. */
export function readFrames(bytes: Buffer): HeardFrame[] {
  const frames: HeardFrame[] = [];
  for (let at = 0; at + 2 <= bytes.length;) {
    const short = bytes[at + 1]! & 127;
    const extended = short === 126 ? 2 : short === 127 ? 8 : 0;
    if (at + 2 + extended > bytes.length) break;
    const length =
      extended === 0 ? short : extended === 2 ? bytes.readUInt16BE(at + 2) : Number(bytes.readBigUInt64BE(at + 2));
    const start = at + 2 + extended;
    if (start + length > bytes.length) break;
    frames.push({ opcode: bytes[at]! & 15, payload: bytes.subarray(start, start + length) });
    at = start + length;
  }
  return frames;
}

export const upgradeText = (token?: string, path = "/ws"): string =>
  `GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n` +
  `Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nSec-WebSocket-Protocol: holdfast.v1\r\n` +
  `${token === undefined ? "" : `Authorization: Bearer ${token}\r\n`}\r\n`;

/** A TCP connection that ends only when it is told to: the other side's end does not end ours. */
export async function connectRaw(url: string): Promise<net.Socket> {
  const { hostname, port } = new URL(url);
  const socket = net.connect({ host: hostname, port: Number(port), allowHalfOpen: true });
  socket.on("error", () => {}); // a reset is what many of these connections are for
  await once(socket, "connect");
  return socket;
}

export class RawWebSocket {
  readonly socket: net.Socket;
  #bytes = Buffer.alloc(0);
  #ended = false;
  #wake = Promise.withResolvers<void>();

  private constructor(socket: net.Socket) {
    this.socket = socket;
    const end = () => {
      this.#ended = true;
      this.#ring();
    };
    socket.once("end", end).once("close", end);
    socket.on("data", (chunk: Buffer) => {
      this.#bytes = Buffer.concat([this.#bytes, chunk]);
      this.#ring();
    });
  }

  /** Upgraded; throws with the answer's head when the server does not want it. */
  static async open(url: string, token?: string): Promise<RawWebSocket> {
    const raw = new RawWebSocket(await connectRaw(url));
    raw.socket.write(upgradeText(token));
    while (!raw.#ended && raw.#bytes.indexOf("\r\n\r\n") === -1) await raw.#wake.promise;
    const end = raw.#bytes.indexOf("\r\n\r\n") + 4;
    const head = raw.#bytes.toString("latin1", 0, end);
    if (!head.startsWith("HTTP/1.1 101")) throw new Error(`no WebSocket: ${head}`);
    raw.#bytes = raw.#bytes.subarray(end);
    return raw;
  }

  get frames(): HeardFrame[] {
    return readFrames(this.#bytes);
  }

  /** Waits until the server has said so many frames, or has ended its side. */
  async hear(count: number): Promise<HeardFrame[]> {
    while (this.frames.length < count && !this.#ended) await this.#wake.promise;
    return this.frames;
  }

  /** Waits for the server's end; its close code, 1005 for a close frame without one, 1006 for none at all. */
  async closeCode(): Promise<number> {
    while (!this.#ended) await this.#wake.promise;
    const close = this.frames.find(({ opcode }) => opcode === opcodes.close);
    if (close === undefined) return 1006;
    return close.payload.length >= 2 ? close.payload.readUInt16BE(0) : 1005;
  }

  async destroy(): Promise<void> {
    if (this.socket.closed) return;
    const closed = once(this.socket, "close");
    this.socket.destroy();
    await closed;
  }

  #ring(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }
}
