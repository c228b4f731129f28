/** What the front writes about itself, line by line: its own events under their names, everything else as `front.said`. */
import { eventNames, type EventName } from "../events.ts";
import { GatheredBytes } from "../gathered-bytes.ts";
import type { OpenLog } from "./log.ts";

/** A longer line is kept in pieces of this many bytes. */
const lineBytesMax = 16 * 1024;
const newline = 0x0a;

export class FrontVoice {
  readonly #opened: OpenLog;

  constructor(opened: OpenLog) {
    this.#opened = opened;
  }

  /** Collects one stream of one front; `end` writes what has no line end yet. */
  listen(front: number): { hear: (chunk: Buffer) => void; end: () => void } {
    const begun = new GatheredBytes();
    const write = () => this.#write(begun.take().toString("utf8"), front);
    /** Of one line. */
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

/** The front speaks to the network and may be anybody's by now: only a known name makes a line more than text. */
function parseEvent(line: string): { event: EventName; fields: object } | undefined {
  if (!line.startsWith('{"event":') || line.length > lineBytesMax) return undefined;
  try {
    const { event, level: _, time: __, pid: ___, ...fields } = JSON.parse(line) as Record<string, unknown>;
    const known = eventNames.find((name) => name === event);
    return known === undefined ? undefined : { event: known, fields };
  } catch {
    return undefined; // it only looked like one
  }
}
