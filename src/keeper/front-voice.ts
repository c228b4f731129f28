/** What the front writes about itself, line by line: its own events under their names, everything else as `front.said`. */
import { StringDecoder } from "node:string_decoder";
import { eventNames, type EventName } from "../events.ts";
import type { OpenLog } from "./log.ts";

/** A longer line is kept in pieces of this many characters. */
const lineCharsMax = 16 * 1024;

export class FrontVoice {
  readonly #opened: OpenLog;

  constructor(opened: OpenLog) {
    this.#opened = opened;
  }

  /** Collects one stream of one front; `end` writes what has no line end yet. */
  listen(front: number): { hear: (chunk: Buffer) => void; end: () => void } {
    const decoder = new StringDecoder("utf8");
    let rest = "";
    return {
      hear: (chunk) => {
        const lines = (rest + decoder.write(chunk)).split("\n");
        rest = lines.pop() ?? "";
        for (const line of lines) this.#write(line, front);
        for (; rest.length > lineCharsMax; rest = rest.slice(lineCharsMax))
          this.#write(rest.slice(0, lineCharsMax), front);
      },
      end: () => {
        this.#write(rest + decoder.end(), front);
        rest = "";
      },
    };
  }

  #write(line: string, front: number): void {
    if (line.trim() === "") return;
    const told = parseEvent(line);
    if (told === undefined) this.#opened.relay("front.said", { text: line.slice(0, lineCharsMax) }, front);
    else this.#opened.relay(told.event, told.fields, front);
  }
}

/** The front speaks to the network and may be anybody's by now: only a known name makes a line more than text. */
function parseEvent(line: string): { event: EventName; fields: object } | undefined {
  if (!line.startsWith('{"event":') || line.length > lineCharsMax) return undefined;
  try {
    const { event, level: _, time: __, pid: ___, ...fields } = JSON.parse(line) as Record<string, unknown>;
    const known = eventNames.find((name) => name === event);
    return known === undefined ? undefined : { event: known, fields };
  } catch {
    return undefined; // it only looked like one
  }
}
