/** Records of crashed helper processes: exit code, signal, last method and the last 64 KiB of stderr. */
import { readFileSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { crashShape, type CrashView } from "../protocol/keeper/status.ts";
import type { Clock } from "../clock.ts";
import type { EventFields } from "../events.ts";
import { writePrivate } from "../platform/self/private-file.ts";
import { say } from "./log.ts";

const tailBytesMax = 64 * 1024;
const filesMax = 50;
/** A file has the stderr besides. */
const recordShape = crashShape.strip();

/** Keeps the end of a stream in constant memory, whatever the size of its pieces. */
export class StreamTail {
  /** Allocated with the first byte: most helpers print nothing. */
  #ring: Buffer | undefined;
  #bytes = 0;

  push(chunk: Buffer): void {
    this.#ring ??= Buffer.alloc(tailBytesMax);
    const last = chunk.subarray(-tailBytesMax);
    const at = (this.#bytes + chunk.length - last.length) % tailBytesMax;
    const copied = last.copy(this.#ring, at);
    last.copy(this.#ring, 0, copied);
    this.#bytes += chunk.length;
  }

  text(): string {
    const ring = this.#ring ?? Buffer.alloc(0);
    if (this.#bytes <= ring.length) return ring.toString("utf8", 0, this.#bytes);
    const at = this.#bytes % tailBytesMax;
    return Buffer.concat([ring.subarray(at), ring.subarray(0, at)]).toString("utf8");
  }
}

/** Facts known when a crash is noticed. */
type Crash = Pick<CrashView, "who" | "pid" | "why"> & Partial<Omit<CrashView, "file">>;

export class CrashRecords {
  readonly #directory: string;
  readonly #epoch: number;
  readonly #clock: Clock;
  /** Oldest first. */
  readonly #views: CrashView[];

  /** Loads the records of earlier keepers; `epoch` is that of the writing keeper. */
  constructor(directory: string, epoch: number, clock: Clock) {
    this.#directory = directory;
    this.#epoch = epoch;
    this.#clock = clock;
    this.#views = readAll(directory);
  }

  /** Writes one crash to its own file and returns it as `status` shows it. */
  record(crash: Crash, stderr: string): CrashView {
    const at = crash.at ?? this.#clock.now();
    const name = `${new Date(at).toISOString().replaceAll(":", "")}-${crash.who}-${crash.pid}.json`;
    const nothing = { epoch: this.#epoch, detail: null, exitCode: null, signal: null, lastMethod: null, downMs: null };
    const view: CrashView = { ...nothing, ...crash, at, file: join(this.#directory, name) };
    try {
      writePrivate(view.file, `${JSON.stringify({ ...view, stderr }, null, 2)}\n`);
    } catch (thrown) {
      // Full disk: the crash is still reported and the next front started.
      say(`the crash of the ${crash.who} (${crash.why}) cannot be written down: ${String(thrown)}`);
    }
    this.#views.push(view);
    const tooMany = Math.max(0, this.#views.length - filesMax);
    for (const old of this.#views.splice(0, tooMany)) rmSync(old.file, { force: true });
    return view;
  }

  /** Adds the length of the outage to a record. */
  recovered(view: CrashView, downMs: number): void {
    view.downMs = downMs;
    try {
      const whole = JSON.parse(readFileSync(view.file, "utf8")) as object;
      writePrivate(view.file, `${JSON.stringify({ ...whole, downMs }, null, 2)}\n`);
    } catch {
      // The record was removed: there is nothing to update.
    }
  }

  /** The newest crashes, newest first, those of earlier keepers included. */
  list(count: number): CrashView[] {
    return this.#views.toReversed().slice(0, count);
  }
}

function readAll(directory: string): CrashView[] {
  return namesIn(directory).flatMap((name) => {
    const file = join(directory, name);
    try {
      const read = recordShape.safeParse({ ...JSON.parse(readFileSync(file, "utf8")), file });
      return read.success ? [read.data] : []; // of another version: the front takes no other form
    } catch {
      return []; // partial record after a power cut: nothing to show
    }
  });
}

/** The stderr in a crash record; undefined when the record is unreadable or removed. */
export function readStderr(file: string): string | undefined {
  try {
    return (JSON.parse(readFileSync(file, "utf8")) as { stderr: string }).stderr;
  } catch {
    return undefined; // removed since, or on another machine
  }
}

function namesIn(directory: string): string[] {
  try {
    const names = readdirSync(directory).filter((name) => name.endsWith(".json"));
    return names.toSorted().slice(-filesMax);
  } catch {
    return []; // no gateway has run here
  }
}

/** A front's crash as a log entry. */
export function crashEntry(crash: CrashView): { event: "front.crashed" } & EventFields["front.crashed"] {
  const { pid, why, exitCode, signal, lastMethod, file } = crash;
  return { event: "front.crashed", pid, why, exitCode, signal, lastMethod, file };
}
