/** Background runs between front and keeper: what is asked, what is told. Output is pulled by offset, so that a front that comes later misses nothing. */
import type { EndReason, RunView } from "./messages.ts";

export interface TerminalSize {
  columns: number;
  rows: number;
}

/** What a background run is to be. Times are milliseconds; 0 = never. */
export interface BackgroundSpec {
  kind: "exec" | "pty";
  /** Program and arguments. For a line of the shell: see `shell` of the platform. */
  argv: string[];
  /** `local`, or `ssh:` and a destination that `exec.allowHosts` names. */
  host: string;
  /** Absolute; the gateway's home directory when null. */
  cwd: string | null;
  /** Added to the clean base. */
  env: Record<string, string>;
  sessionId: string | null;
  scopeKey: string | null;
  /** End what runs under the same session and scope key first. */
  replaceExistingScope: boolean;
  /** Whether the caller goes away while it runs: a silent terminal then has the config's time limit. */
  background: boolean;
  /** Of kind exec: stderr into the ring of stdout, in the order in which it comes, or into one of its own. */
  streams: "merged" | "apart";
  /** The caller's own name for this start (letters, digits, -; at most 64): asked again it answers with the same run and starts nothing. */
  request: string | null;
  /** The run is ended as `lease-expired` when no `exec.renew` came for so long; counted by the keeper on the monotonic clock. 0 = it needs none. */
  leaseMs: number;
  onFrontLoss: "keep" | "kill";
  /** How long it lives on without any front; null = as the config says. */
  keepMs: number | null;
  /** For the command itself. */
  timeoutMs: number;
  /** Null = as the config says for a terminal in the background, else never. */
  noOutputTimeoutMs: number | null;
  /** For the whole run. */
  maxLifetimeMs: number;
  /** What the command leaves behind: ended with it, or kept until the run itself is ended. */
  descendants: "reap" | "keep-until-scope-ends";
  /** Of a terminal. */
  size: TerminalSize;
  /** Whether an `exec` run has a stdin that can be written to; else it reads the end of its input at once. */
  stdin: boolean;
  limits: { processesMax?: number | undefined; memoryBytesMax?: number | undefined };
}

/** What a live background run also shows. Times are milliseconds since the epoch. */
export interface BackgroundView {
  /** See BackgroundSpec. */
  request: string | null;
  /** Of both streams. */
  outputBytes: number;
  lastOutputAt: number | null;
  lastInputAt: number | null;
  /** Somebody was attached then. */
  lastViewedAt: number | null;
  onFrontLoss: "keep" | "kill";
  keepMs: number;
  /** Of a terminal. */
  size: TerminalSize | null;
  /** Set when its number of processes keeps growing: which command, how often. */
  growing: string | null;
}

/** Where output is read: of a run whose streams are merged, or of a terminal, all is in `stdout`. */
export type OutputStream = "stdout" | "stderr";

export interface OutputView {
  /** Offset of the first byte; larger than asked when what was asked for has been written over. */
  offset: number;
  /** The bytes, in base64. */
  bytes: string;
  /** Bytes printed on this stream so far. */
  printed: number;
  run: RunView;
  /** Sizes of the terminal since its start, with the offset from which each held. */
  sizes: ({ offset: number } & TerminalSize)[];
}

/** The last bytes of one stream, in base64, and where they begin. */
export type OutputEnd = Pick<OutputView, "offset" | "bytes" | "printed">;

/** How it went, in one answer. */
export interface Outcome {
  run: RunView;
  stdout: OutputEnd;
  stderr: OutputEnd;
}

export interface RequestedRun {
  request: string;
  run: RunView;
}

export interface BackgroundRequests {
  /** Throws `request_reused` when the request id was used for another command line. */
  "exec.start": { params: BackgroundSpec; result: RunView };
  /** Waits up to `waitMs` for a first byte at `offset`, or for the end of the run. `viewer`: somebody is looking on; `pace`: a run in the foreground waits for this reader, who has all before `offset`. */
  "exec.read": {
    params: {
      run: string;
      stream: OutputStream;
      offset: number;
      bytesMax: number;
      waitMs: number;
      viewer: boolean;
      pace: boolean;
    };
    result: OutputView;
  };
  /**
   * Bytes in base64; `end` closes stdin after them (a terminal has no end of input: send it ^D). `at`: where in all the input
   * the first of them is: what was taken before is dropped, a gap is refused with `input_gap`; null = behind what was taken.
   * Answers with the bytes that were taken so far.
   */
  "exec.write": {
    params: { run: string; bytes: string; at: number | null; end: boolean };
    result: { inputBytes: number };
  };
  "exec.resize": { params: { run: string; size: TerminalSize }; result: null };
  /** To every process of the run, or to its command only. */
  "exec.signal": { params: { run: string; signal: string; to: "all" | "command" }; result: null };
  /**
   * `hurried`: without the graces, or what is left of them. Any other end joins one that is under way, and looks again at
   * what could not be ended. `nth`, which gateways of earlier versions send, says nothing any longer. Resolves when the run is
   * over, or with its survivors.
   */
  "exec.end": {
    params: { run: string; reason: EndReason; hurried: boolean; nth?: number | undefined };
    result: RunView;
  };
  /** Resolves when the run is over, or after `waitMs` with the run as it is then. */
  "exec.wait": { params: { run: string; waitMs: number }; result: RunView };
  /** As `exec.wait`, with the last `bytesMax` of each stream: all there is to be known of a short command. */
  "exec.outcome": { params: { run: string; waitMs: number; bytesMax: number }; result: Outcome };
  /** Live runs that belong to a session, for the front to see whether it knows them all. */
  "exec.owners": { params: Record<string, never>; result: { run: string; sessionId: string }[] };
  /** Whoever the leased runs live for is there: each may live its whole lease from now on. Answers how many there are. */
  "exec.renew": { params: Record<string, never>; result: { runs: number } };
  /** Runs that were started under a request id: the live ones, and the newest of the ended ones that are remembered. */
  "exec.requests": { params: Record<string, never>; result: RequestedRun[] };
  /** Forgets a run and its output. One that lives is ended first if `end`, else `run_alive` is thrown. */
  "exec.remove": { params: { run: string; end: boolean }; result: null };
}

/** Most bytes of one answer, before base64. */
export const readBytesMax = 256 * 1024;
/** Most ended runs that `exec.requests` tells. */
export const requestsMax = 2000;
/** How long a request id is remembered after its run's end, besides the longest lease, in milliseconds. */
export const requestMemoryMs = 3_600_000;
/** Longest wait of one request. */
export const waitMsMax = 60_000;
/** Limits of a spec, in bytes of UTF-8 or as counts. */
export const specLimits = {
  argvBytesMax: 128 * 1024,
  envBytesMax: 256 * 1024,
  columnsMax: 1000,
  rowsMax: 1000,
  inputBytesMax: 512 * 1024,
};
