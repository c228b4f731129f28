/** The real directories of jobs, below the owner's state. Each is private; a FIFO in it is opened here without waiting. */
import {
  closeSync,
  constants,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { Socket } from "node:net";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { makeFifo } from "./fifo.ts";
import { jobDictionary, scriptWords } from "./job.ts";
import type { GuardianPlace, JobFiles, JobPlace, JobRecord, JobRequest, JobStream, JobStreams } from "./job.ts";
import { propertyList } from "./plist.ts";

const { O_NONBLOCK, O_RDONLY, O_RDWR, O_WRONLY } = constants;
const trampoline = fileURLToPath(new URL("trampoline.sh", import.meta.url));
const guardian = fileURLToPath(new URL("coalition-guardian.sh", import.meta.url));
const streamNames = ["stdin", "stdout", "stderr"] as const;
type Words = readonly string[];

const isName = /^[\w-]{1,100}$/;

export class RealJobFiles implements JobFiles {
  readonly #directory: string;

  readonly #sweep: Words;

  /** `directory`: of the owner, for its jobs alone. `sweep`: the command by which a guardian ends what its keeper has left. */
  constructor(directory: string, sweep: Words) {
    this.#directory = directory;
    this.#sweep = sweep;
  }

  isDirectory(path: string): boolean {
    return statSync(path, { throwIfNoEntry: false })?.isDirectory() === true;
  }

  make(request: JobRequest): JobPlace {
    return this.#makeIn(request.name, (directory) => new RealJobPlace(directory, request));
  }

  makeGuardian(label: string, name: string): GuardianPlace {
    return this.#makeIn(name, (directory) => new RealGuardianPlace(directory, label, this.#sweep));
  }

  #makeIn<T>(name: string, make: (directory: string) => T): T {
    const directory = join(this.#directory, name);
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    mkdirSync(directory, { mode: 0o700 });
    try {
      return make(directory);
    } catch (thrown) {
      rmSync(directory, { recursive: true });
      throw thrown;
    }
  }

  names(): string[] {
    try {
      return readdirSync(this.#directory).filter((name) => isName.test(name));
    } catch {
      return []; // no job has been made yet
    }
  }

  read(name: string): JobRecord | undefined {
    try {
      const { coalition, boot } = JSON.parse(readFileSync(join(this.#directory, name, "record"), "utf8")) as Record<
        string,
        unknown
      >;
      if (typeof coalition !== "string" || !/^[1-9]\d{0,18}$/.test(coalition) || typeof boot !== "string")
        return undefined;
      return { coalition: BigInt(coalition), boot };
    } catch {
      return undefined; // launchd may know more
    }
  }

  remove(name: string): void {
    if (isName.test(name)) rmSync(join(this.#directory, name), { recursive: true, force: true });
  }
}

class RealJobPlace implements JobPlace {
  readonly propertyList: string;
  readonly hello: Promise<number>;
  readonly #directory: string;
  /** Open for both directions, so that neither end waits for the other, until `go` or the removal. */
  readonly #control: number;
  #controlIsOpen = true;
  readonly #hello: Socket;
  /** Holds our ends open from the beginning: a pipe that has lost its reader ends its writer. */
  readonly #held: (number | undefined)[] = [];

  constructor(directory: string, { label, streams }: JobRequest) {
    this.#directory = directory;
    this.propertyList = join(directory, "job.plist");
    const paths = streams.map((stream, index) => this.#path(stream, index));
    const words = scriptWords(trampoline, [directory, ...paths]);
    writeFileSync(this.propertyList, propertyList(jobDictionary(label, words, false)), { mode: 0o600 });
    const opened: number[] = [];
    const open = (path: string): number => {
      const descriptor = openFifo(path);
      opened.push(descriptor);
      return descriptor;
    };
    try {
      for (const [index, stream] of streams.entries())
        this.#held.push(stream === "pipe" ? open(paths[index] ?? "") : undefined);
      this.#control = open(join(directory, "control"));
      this.#hello = new Socket({ fd: open(join(directory, "hello")), readable: true, writable: false });
    } catch (thrown) {
      for (const descriptor of opened) closeSync(descriptor);
      throw thrown;
    }
    this.hello = new Promise((resolve) => hearNumbers(this.#hello, resolve));
  }

  record({ coalition, boot }: JobRecord): void {
    writeFileSync(join(this.#directory, "record"), JSON.stringify({ coalition: String(coalition), boot }), {
      mode: 0o600,
    });
  }

  openStreams(): JobStreams {
    const [stdin, stdout, stderr] = streamNames.map((name, index) => {
      const held = this.#held[index];
      if (held === undefined) return null;
      const isInput = index === 0;
      const fd = openSync(join(this.#directory, name), (isInput ? O_WRONLY : O_RDONLY) | O_NONBLOCK);
      closeSync(held);
      this.#held[index] = undefined;
      const socket = new Socket({ fd, readable: !isInput, writable: isInput });
      if (isInput) socket.on("error", () => {}); // nobody reads any more: the run's end reports that
      return socket;
    });
    return { stdin: stdin ?? null, stdout: stdout ?? null, stderr: stderr ?? null };
  }

  go(script: Uint8Array): void {
    if (!this.#controlIsOpen) return;
    this.#controlIsOpen = false;
    const control = new Socket({ fd: this.#control, readable: false, writable: true });
    control.on("error", () => {}); // the trampoline is gone; its exit reports that
    control.write("go\n");
    control.end(script, () => control.destroy());
  }

  remove(): void {
    this.#hello.destroy();
    if (this.#controlIsOpen) closeSync(this.#control);
    this.#controlIsOpen = false;
    for (const held of this.#held.splice(0)) if (held !== undefined) closeSync(held);
    rmSync(this.#directory, { recursive: true, force: true });
  }

  #path(stream: JobStream, index: number): string {
    if (stream === "ignore") return "/dev/null";
    return stream === "pipe" ? join(this.#directory, streamNames[index] ?? "") : stream.terminal;
  }
}

function openFifo(path: string): number {
  makeFifo(path);
  return openSync(path, O_RDWR | O_NONBLOCK);
}

class RealGuardianPlace implements GuardianPlace {
  readonly propertyList: string;
  readonly #directory: string;
  readonly #hello: Socket;
  readonly #life: Socket;

  constructor(directory: string, label: string, sweep: Words) {
    this.#directory = directory;
    this.propertyList = join(directory, "job.plist");
    const words = scriptWords(guardian, [directory, ...sweep]);
    writeFileSync(this.propertyList, propertyList(jobDictionary(label, words, true)), { mode: 0o600 });
    this.#life = new Socket({ fd: openFifo(join(directory, "life")), readable: false, writable: true });
    this.#hello = new Socket({ fd: openFifo(join(directory, "hello")), readable: true, writable: false });
    this.#life.on("error", () => {}); // it is gone; its end is seen
  }

  onHello(hear: (pid: number) => void): void {
    hearNumbers(this.#hello, hear);
  }

  tell(line: string): void {
    this.#life.write(`${line}\n`);
  }

  remove(): void {
    this.#hello.destroy();
    this.#life.destroy();
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

const wordCharsMax = 100;

/** N of each line "hello N". */
function hearNumbers(hello: Socket, hear: (pid: number) => void): void {
  let text = "";
  hello.on("error", () => {}); // no word comes: the wait for it is bounded
  hello.on("data", (chunk: Buffer) => {
    const lines = `${text}${chunk.toString("latin1")}`.split("\n");
    text = lines.pop()?.slice(0, wordCharsMax) ?? "";
    for (const line of lines) {
      const said = /^hello (\d{1,9})$/.exec(line)?.[1];
      if (said !== undefined) hear(Number(said));
    }
  });
}
