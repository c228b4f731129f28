/** A WebSocket without a network, as a node uses it: what it sent is written down. */
import { EventEmitter } from "node:events";
import type { NodeMessage } from "../../../src/protocol/node/messages.ts";

/** As far as `ws` is used here. */
export class Socket extends EventEmitter {
  readonly OPEN = 1;
  readyState = 1;
  bufferedAmount = 0;
  pings = 0;
  readonly sent: NodeMessage[] = [];
  readonly ends: string[] = [];

  send(frame: string): void {
    this.sent.push(JSON.parse(frame) as NodeMessage);
  }
  ping(): void {
    this.pings += 1;
  }
  close(): void {
    this.ends.push("close");
  }
  terminate(): void {
    this.ends.push("terminate");
    this.emit("close", 1006, Buffer.alloc(0));
  }
  says(word: object): void {
    this.emit("message", Buffer.from(JSON.stringify(word)), false);
  }
}
