/** What a launchd job of Holdfast is: its name, its property list, and the private place in which it meets its keeper. */
import type { Readable, Writable } from "node:stream";
import type { PropertyValue } from "./plist.ts";

/** Begins the labels of all jobs of one owner, of whatever epoch. */
export function labelPrefix(ownerId: string): string {
  return `holdfast.${ownerId}.`;
}

/** `holdfast.<owner>.<run>`. */
export function labelOf(ownerId: string, name: string): string {
  return `${labelPrefix(ownerId)}${name}`;
}

/** The guardian of one epoch, among the names of runs. */
export function guardianName(epoch: number): string {
  return `guardian-${epoch}`;
}

export const isGuardianName = (name: string): boolean => name.startsWith("guardian-");

/** OPEN_MAX of sys/syslimits.h: launchd's own default of 256 is less than servers need. */
const openFiles = 10_240;

/** A job with this command line. `isKept`: it is started again unless it ends with 0. */
export function jobDictionary(label: string, words: readonly string[], isKept: boolean): PropertyValue {
  return {
    Label: label,
    ProgramArguments: words,
    RunAtLoad: true,
    KeepAlive: isKept ? { SuccessfulExit: false } : false,
    // Of a graphical session and of any other.
    LimitLoadToSessionType: ["Aqua", "Background"],
    // Otherwise launchd would end the command's group with the command.
    AbandonProcessGroup: true,
    // As an app: without limits of processor and disk.
    ProcessType: "Interactive",
    SoftResourceLimits: { NumberOfFiles: openFiles },
  };
}

/** Runs a script of ours with an empty environment: launchd's has variables that the command is not to have. */
export function scriptWords(script: string, words: readonly string[]): string[] {
  return ["/usr/bin/env", "-i", "/bin/sh", script, ...words];
}

export type JobStream = "pipe" | "ignore" | { readonly terminal: string };

export interface JobRequest {
  readonly label: string;
  /** Of its place among the owner's. */
  readonly name: string;
  readonly streams: readonly [input: JobStream, output: JobStream, errors: JobStream];
}

/** What is known of a job once it has said its number. */
export interface JobRecord {
  readonly coalition: bigint;
  /** `kern.bootsessionuuid`: coalitions are counted from each boot. */
  readonly boot: string;
}

export interface JobStreams {
  readonly stdin: Writable | null;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
}

/** The private directory of one job: its FIFOs, its property list and its record. */
export interface JobPlace {
  readonly propertyList: string;
  /** Pid of the trampoline, by its own word. Never settles if there is none. */
  readonly hello: Promise<number>;
  /** Keeps it for sweeps. */
  record(record: JobRecord): void;
  /** Our ends, once the trampoline has opened its own. */
  openStreams(): JobStreams;
  /** Lets the trampoline become this command. */
  go(script: Uint8Array): void;
  /** Removes all but the opened streams; the trampoline ends if it still waits. */
  remove(): void;
}

/** The private directory of a guardian's job. Its life line stays open as long as the keeper lives. */
export interface GuardianPlace {
  readonly propertyList: string;
  /** Each start of the guardian, by its own word: launchd starts it again when it is killed. */
  onHello(hear: (pid: number) => void): void;
  /** Writes a line on the life line. */
  tell(line: string): void;
  remove(): void;
}

/** The directories of jobs of one owner. */
export interface JobFiles {
  isDirectory(path: string): boolean;
  /** Throws what the system says, with nothing left. */
  make(request: JobRequest): JobPlace;
  /** The same for a guardian. */
  makeGuardian(label: string, name: string): GuardianPlace;
  /** Names of the places that exist, whoever made them. */
  names(): string[];
  /** Undefined: it never got so far, or the record cannot be read. */
  read(name: string): JobRecord | undefined;
  remove(name: string): void;
}
