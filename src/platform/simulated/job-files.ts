/** The places of launchd jobs on a simulated machine, and the programs that meet their keeper there. */
import type { GuardianPlace, JobFiles, JobPlace, JobRecord, JobRequest, JobStreams } from "../darwin/job.ts";
import type { SimulatedLaunchd } from "./launchd.ts";
import { Pipe } from "./pipe.ts";
import type { Process, Program } from "./process.ts";
import type { SimulatedSystem } from "./system.ts";

/** What trampoline.sh ends with when nothing is to be started. */
const refusedCode = 70;

interface Place {
  record: JobRecord | undefined;
  remove(): void;
}

/** The disk of one owner: it outlives every keeper. */
export type JobDisk = Map<string, Place>;

export interface SimulatedJobFilesOptions {
  readonly platform: SimulatedSystem;
  readonly launchd: SimulatedLaunchd;
  readonly disk: JobDisk;
  /** Names the disk in paths. */
  readonly directory: string;
  /** What a guardian does when its keeper is gone, in its process; resolves with whether all is done. */
  readonly sweep: (guardian: Process, front: { pid: number; startTime: string } | undefined) => Promise<boolean>;
}

export class SimulatedJobFiles implements JobFiles {
  readonly #options: SimulatedJobFilesOptions;

  constructor(options: SimulatedJobFilesOptions) {
    this.#options = options;
  }

  isDirectory(path: string): boolean {
    return !this.#options.platform.machine.missingDirectories.has(path);
  }

  make({ label, name, streams }: JobRequest): JobPlace {
    const { platform } = this.#options;
    const control = new Line(platform);
    const pipes = streams.map(() => new Pipe());
    const [input, ...outputs] = pipes;
    const hasInput = streams[0] === "pipe";
    if (!hasInput) input?.cut();
    platform.own.whenOver(() => input?.cut());
    const hello = Promise.withResolvers<number>();
    const program: Program = function* trampoline(self) {
      yield undefined;
      if (control.isClosed) return refusedCode;
      platform.clock.soon(() => hello.resolve(self.pid));
      yield { until: () => control.isClosed || control.text !== "" };
      if (control.text === "") return refusedCode;
      const { command, args, environment } = readScript(control.text);
      self.exec([command, ...args].join(" "), environment);
      return yield* platform.machine.program(command, args)(self);
    };
    const birth = { command: "trampoline", environment: "", input, outputs };
    const place = this.#place(name, () => control.close());
    const propertyList = this.#write(name, { label, isKept: false, program, birth });
    const ends: JobStreams = {
      stdin: hasInput ? (input?.input ?? null) : null,
      stdout: streams[1] === "pipe" ? (outputs[0]?.output ?? null) : null,
      stderr: streams[2] === "pipe" ? (outputs[1]?.output ?? null) : null,
    };
    return {
      propertyList,
      hello: hello.promise,
      record: (record) => void (place.record = record),
      openStreams: () => ends,
      go: (script) => control.write(Buffer.from(script).toString()),
      remove: () => place.remove(),
    };
  }

  makeGuardian(label: string, name: string): GuardianPlace {
    const { platform, sweep } = this.#options;
    const life = new Line(platform);
    let hear: (pid: number) => void = () => {};
    let isRemoved = false;
    const program: Program = function* guard(self) {
      yield undefined;
      if (isRemoved) return 0;
      platform.clock.soon(() => hear(self.pid));
      yield { until: () => life.isClosed || life.text.includes("done\n") };
      if (life.text.includes("done\n")) return 0;
      const front = [...life.text.matchAll(/^front (\d+) (\S+)$/gm)].at(-1);
      let isDone: boolean | undefined;
      const meant = front === undefined ? undefined : { pid: Number(front[1]), startTime: front[2] ?? "" };
      void sweep(self, meant).then((done) => (isDone = done)); // never rejects
      yield { until: () => isDone !== undefined };
      return isDone === true ? 0 : 1;
    };
    const place = this.#place(name, () => (isRemoved = true));
    const birth = { command: "guardian", environment: "", outputs: [] };
    const propertyList = this.#write(name, { label, isKept: true, program, birth });
    return {
      propertyList,
      onHello: (heard) => void (hear = heard),
      tell: (line) => life.write(`${line}\n`),
      remove: () => place.remove(),
    };
  }

  names(): string[] {
    return [...this.#options.disk.keys()];
  }

  read(name: string): JobRecord | undefined {
    return this.#options.disk.get(name)?.record;
  }

  remove(name: string): void {
    this.#options.disk.get(name)?.remove();
  }

  #place(name: string, onRemove: () => void): Place {
    const { disk, launchd } = this.#options;
    if (disk.has(name)) throw new Error("EEXIST");
    const place: Place = {
      record: undefined,
      remove: () => {
        onRemove();
        if (disk.get(name) !== place) return;
        disk.delete(name);
        launchd.propertyLists.delete(this.#pathOf(name));
      },
    };
    disk.set(name, place);
    return place;
  }

  #pathOf(name: string): string {
    return `${this.#options.directory}/${name}/job.plist`;
  }

  #write(name: string, job: Parameters<SimulatedLaunchd["propertyLists"]["set"]>[1]): string {
    const path = this.#pathOf(name);
    this.#options.launchd.propertyLists.set(path, job);
    return path;
  }
}

/** A FIFO that its keeper holds open. */
class Line {
  readonly #platform: SimulatedSystem;
  #isOpen = true;
  text = "";

  constructor(platform: SimulatedSystem) {
    this.#platform = platform;
  }

  get isClosed(): boolean {
    return !this.#isOpen || !this.#platform.own.isAlive;
  }

  write(text: string): void {
    if (this.#isOpen && this.#platform.call()) this.text += text;
  }

  close(): void {
    this.#isOpen = false;
  }
}

/** What command-script.ts has written, as a shell reads it. */
function readScript(script: string): { command: string; args: string[]; environment: string } {
  const words = (quoted: string) =>
    [...quoted.matchAll(/(?:'[^']*'|\\')+/g)].map(([word]) =>
      word.replaceAll(/\\'|'([^']*)'/g, (_, text?: string) => text ?? "'"),
    );
  const exports = [...script.matchAll(/^export (\w+)=((?:'[^']*'|\\')+)$/gm)];
  const [command = "", ...args] = words(/^set -- ([^]*)\nis_whole=yes$/m.exec(script)?.[1] ?? "");
  return {
    command,
    args,
    environment: exports.map(([, name, value = ""]) => `${name}=${words(value)[0] ?? ""}`).join("\0"),
  };
}
