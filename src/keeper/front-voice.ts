/** The front's own log lines: known events under their names, everything else as `front.said`. */
import { eventNames, type EventName } from "../events.ts";
import { GatheredBytes } from "../gathered-bytes.ts";
import type { OpenLog } from "./log.ts";

/** Longer lines are split into pieces of this many bytes. */
const lineBytesMax = 16 * 1024;
const newline = 0x0a;

export class FrontVoice {
  readonly #opened: OpenLog;

  constructor(opened: OpenLog) {
    this.#opened = opened;
  }

  /** Collects one stream of one front; `end` writes the unterminated rest. */
  listen(front: number): { hear: (chunk: Buffer) => void; end: () => void } {
    const begun = new GatheredBytes();
    const write = () => this.#write(begun.take().toString("utf8"), front);
    const add = (bytes: Buffer) => {
      let at = 0;
      for (; begun.length + bytes.length - at > lineBytesMax; write()) {
        const room = lineBytesMax - begun.length;
        begun.add(bytes.subarray(at, at + room));
        at += room;
      }
      begun.add(bytes.subarray(at));
    };
    return {
      hear: (chunk) => {
        let from = 0;
        for (let end = chunk.indexOf(newline); end !== -1; end = chunk.indexOf(newline, from)) {
          add(chunk.subarray(from, end));
          write();
          from = end + 1;
        }
        add(chunk.subarray(from));
      },
      end: write,
    };
  }

  #write(line: string, front: number): void {
    if (line.trim() === "") return;
    const told = parseEvent(line);
    if (told === undefined) this.#opened.relay("front.said", { text: line.slice(0, lineBytesMax) }, front);
    else this.#opened.relay(told.event, told.fields, front);
  }
}

/** The front faces the network and may be compromised: only a known event name makes a line more than text. */
function parseEvent(line: string): { event: EventName; fields: object } | undefined {
  if (!line.startsWith('{"event":') || line.length > lineBytesMax) return undefined;
  try {
    const { event, level: _, time: __, pid: ___, ...fields } = JSON.parse(line) as Record<string, unknown>;
    const known = eventNames.find((name) => name === event);
    return known === undefined ? undefined : { event: known, fields };
  } catch {
    return undefined; // not an event after all
  }
}
