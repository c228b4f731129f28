/** One MCP run as the front holds it: lines in, lines out, and its state. */
import type { EndReason, RunView } from "../run.ts";
import { GatheredBytes } from "../../gathered-bytes.ts";
import type { Clock } from "../../clock.ts";
import type { Notices } from "./notices.ts";
import { lineCostBytes, type SendWindow } from "./flow.ts";
import { flags, type Frame } from "./frames.ts";

/** Longest line that is put together from pieces, in bytes; a server that sends more is ended by its session. */
const lineBytesMax = 64 * 1024 * 1024;
/** Bytes that may wait for the server's stdin on one run before `send` says no. */
const queuedBytesMax = 4 * 1024 * 1024;
/** How long a run's end waits for its last lines, in milliseconds; they come on the other descriptor. */
const lastLinesMs = 1000;

export interface RunEvents {
  /**
   * One line from the server's stdout, without its newline. The bytes are valid only during the call.
   * Call `release` once they were passed on (now or later): that is what lets the server write more.
   * `again`: the line was sent to the previous front, which may have handled it.
   */
  onLine(line: Buffer, release: () => void, again: boolean): void;
  /** The server's stdout ended. */
  onEnd(): void;
  onState(run: RunView): void;
}

/** What a run needs of the channel that it is on. */
export interface LinkPort {
  readonly clock: Clock;
  readonly notices: Notices;
  readonly window: SendWindow;
  sendFrame(channel: number, line: Buffer, frameFlags: number, request: number): void;
  /** The line was dealt with: its bytes are credited. */
  consumed(channel: number, bytes: number): void;
  ask(name: "run.stop", params: { run: string; reason: EndReason }): Promise<RunView>;
}

/** What a line does to requests: it asks one, or it answers one of the server's. */
export interface SentIds {
  opens?: number;
  closes?: number;
}

/** One MCP run as the front holds it. */
export class LinkedRun {
  readonly id: string;
  readonly channel: number;
  view: RunView;
  readonly #link: LinkPort;
  readonly #events: RunEvents;
  readonly #queue: { line: Buffer; frameFlags: number; request: number }[] = [];
  #queuedBytes = 0;
  /** Lines dealt with, which the keeper need not keep for a successor. */
  #lines = 0;
  /** Of a line that is not whole yet. */
  readonly #begun = new GatheredBytes();
  #stdoutEnded = false;
  #onStdoutEnd: (() => void) | undefined;

  constructor(link: LinkPort, channel: number, view: RunView, events: RunEvents) {
    this.id = view.id;
    this.channel = channel;
    this.view = view;
    this.#link = link;
    this.#events = events;
  }

  /**
   * Sends one line (no newline inside) to the server's stdin. `opens` names a request id that now waits for its answer,
   * `closes` a server's request that this line answers. False: more than 4 MiB wait already, the line was not taken.
   */
  send(line: Buffer, ids: SentIds = {}): boolean {
    if (this.#queuedBytes > queuedBytesMax) return false;
    let frameFlags = 0;
    let request = 0;
    if (ids.opens !== undefined) [frameFlags, request] = [flags.opens, ids.opens];
    else if (ids.closes !== undefined) [frameFlags, request] = [flags.closes | flags.fromServer, ids.closes];
    this.#queue.push({ line, frameFlags, request });
    this.#queuedBytes += line.length;
    if (this.#queue.length === 1) this.#flush();
    return true;
  }

  /** A request that was sent needs no answer any more; the keeper hears it with the next line. */
  closed(request: number): void {
    this.#link.notices.closed(this.channel, request);
  }

  /** The server took its question back. */
  withdrawn(number: number): void {
    this.#link.notices.closed(this.channel, number, flags.fromServer);
  }

  /** The server asked; a front after this one would have to answer `serverId`, the id as the server wrote it. */
  asked(number: number, serverId: string): void {
    this.#link.sendFrame(this.channel, Buffer.from(serverId, "latin1"), flags.opens | flags.fromServer, number);
  }

  /** Ends the run; resolves when its container is empty, with what the keeper wrote down. */
  stop(reason: EndReason): Promise<RunView> {
    return this.#link.ask("run.stop", { run: this.id, reason });
  }

  /** For the link only. */
  receive(frame: Frame): void {
    if ((frame.flags & flags.end) !== 0) return this.#ended();
    if ((frame.flags & flags.more) !== 0) {
      if (this.#begun.length + frame.bytes.length > lineBytesMax) {
        this.#begun.clear();
        void this.stop("limit-exceeded").catch(() => {}); // the run may have ended meanwhile
        return;
      }
      this.#begun.add(frame.bytes);
      // Pieces are credited as they come: a line longer than the window could never be whole otherwise.
      this.#link.consumed(this.channel, frame.bytes.length);
      return;
    }
    let line = frame.bytes;
    if (this.#begun.length > 0) {
      this.#begun.add(frame.bytes);
      line = this.#begun.take();
    }
    const last = frame.bytes.length + lineCostBytes;
    let released = false;
    const again = (frame.flags & flags.again) !== 0;
    const release = () => {
      if (released) return;
      released = true;
      this.#link.consumed(this.channel, last);
    };
    // Before it is dealt with: a question's `asked` must not leave without it, or the next front would refuse it twice.
    this.#lines += 1;
    this.#link.notices.heard(this.channel, this.#lines);
    this.#events.onLine(line, release, again);
  }

  /** For the link only. */
  changed(view: RunView): void {
    this.view = view;
    this.#events.onState(view);
  }

  /** For the link only. Runs `action` once the last line was received, or after a bounded wait for it. */
  whenStdoutEnded(action: () => void): void {
    if (this.#stdoutEnded) return action();
    const late = this.#link.clock.after(lastLinesMs, action);
    this.#onStdoutEnd = () => {
      late.clear();
      action();
    };
  }

  #ended(): void {
    this.#stdoutEnded = true;
    this.#events.onEnd();
    this.#onStdoutEnd?.();
  }

  #flush(): void {
    while (this.#queue.length > 0) {
      if (!this.#link.window.hasRoom(this.channel)) {
        this.#link.window.whenRoom(this.channel, () => this.#flush());
        return;
      }
      const { line, frameFlags, request } = this.#queue.shift()!;
      this.#queuedBytes -= line.length;
      this.#link.sendFrame(this.channel, line, frameFlags, request);
    }
  }
}
