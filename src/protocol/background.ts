/**
 * Requests about background runs, asked of a keeper by its front and of a node by its gateway. Output is pulled by offset, so
 * that a front that comes later misses nothing. Bounds only: what a spec may be is for the policy to say, in words for people.
 */
import { z } from "zod";
import { endReasons, onFrontLossShape, runShape, terminalSizeShape } from "./run.ts";
import { idShape, milliseconds, nothing, requestIdShape } from "./shapes.ts";

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

const size = z.strictObject({ columns: z.int().min(1).max(65_535), rows: z.int().min(1).max(65_535) });
const waitMs = z.int().min(0).max(waitMsMax);
const bytesMax = z.int().min(1).max(readBytesMax);
/** Base64. Only its length is checked: a pattern over all of a full answer takes 0.2 ms of the event loop. */
const base64Of = (decodedBytesMax: number) => z.string().max(Math.ceil(decodedBytesMax / 3) * 4);

export const limitsShape = z.strictObject({
  processesMax: z.int().min(1).optional(),
  memoryBytesMax: z
    .int()
    .min(1024 * 1024)
    .optional(),
});

/** What a background run is to be. Times are milliseconds; 0 = never. */
const specShape = z.strictObject({
  kind: z.enum(["exec", "pty"]),
  /** Program and arguments. */
  argv: z.array(z.string()).min(1).max(10_000),
  /** `local`, or `ssh:` and a destination that `exec.allowHosts` names. */
  host: z.string(),
  /** Absolute; the gateway's home directory when null. */
  cwd: z.string().max(4096).nullable(),
  /** Added to the clean base. */
  env: z.record(z.string(), z.string()),
  sessionId: idShape.nullable(),
  scopeKey: z.string().min(1).max(256).nullable(),
  /** End what runs under the same session and scope key first. */
  replaceExistingScope: z.boolean(),
  /** Whether the caller goes away while it runs: a silent terminal then has the config's time limit. */
  background: z.boolean(),
  /** Of kind exec: stderr into the ring of stdout, in the order in which it comes, or into one of its own. */
  streams: z.enum(["merged", "apart"]),
  /** Asked again under the same name, the start answers with the same run and starts nothing. */
  request: requestIdShape.nullable(),
  /** Without an `exec.renew` for so long, by the keeper's monotonic clock, the run ends as `lease-expired`. 0 = it needs none. */
  leaseMs: milliseconds,
  onFrontLoss: onFrontLossShape,
  /** How long it lives on without any front; null = as the config says. */
  keepMs: milliseconds.nullable(),
  /** For the command itself. */
  timeoutMs: milliseconds,
  /** Null = as the config says for a terminal in the background, else never. */
  noOutputTimeoutMs: milliseconds.nullable(),
  /** For the whole run. */
  maxLifetimeMs: milliseconds,
  /** What the command leaves behind: ended with it, or kept until the run itself is ended. */
  descendants: z.enum(["reap", "keep-until-scope-ends"]),
  /** Of a terminal. */
  size,
  /** Whether an `exec` run has a stdin that can be written to; else it reads the end of its input at once. */
  stdin: z.boolean(),
  limits: limitsShape,
});
export type BackgroundSpec = z.infer<typeof specShape>;

/** Of a run whose streams are merged, or of a terminal, all output is in `stdout`. */
const streamShape = z.enum(["stdout", "stderr"]);
export type OutputStream = z.infer<typeof streamShape>;

const piece = {
  /** Of the first byte; larger than asked when what was asked for has been written over. */
  offset: z.int().min(0),
  /** Room for more than may be asked for: the asker, which knows the run, refuses an answer beyond its own bound. */
  bytes: base64Of(4 * readBytesMax),
  /** Bytes printed on this stream so far. */
  printed: z.int().min(0),
};
const outputShape = z.strictObject({
  ...piece,
  run: runShape,
  /** Sizes of the terminal since its start, with the offset from which each held. */
  sizes: z.array(terminalSizeShape.extend({ offset: z.int().min(0) })),
});
export type OutputView = z.infer<typeof outputShape>;

/** The last bytes of one stream, and where they begin. */
const outputEndShape = z.strictObject(piece);
export type OutputEnd = z.infer<typeof outputEndShape>;

const outcomeShape = z.strictObject({ run: runShape, stdout: outputEndShape, stderr: outputEndShape });
export type Outcome = z.infer<typeof outcomeShape>;

export const requestedRunShape = z.strictObject({ request: requestIdShape, run: runShape });
export type RequestedRun = z.infer<typeof requestedRunShape>;

export const backgroundRequests = {
  /** Throws `request_reused` when the request id was used for another command line. */
  "exec.start": { params: specShape, result: runShape },
  /**
   * Waits up to `waitMs` for a first byte at `offset`, or for the end of the run. `viewer` counts as activity; `pace`: a run in
   * the foreground waits for this reader, who has all before `offset`.
   */
  "exec.read": {
    params: z.strictObject({
      run: idShape,
      stream: streamShape,
      offset: z.int().min(0),
      bytesMax,
      waitMs,
      viewer: z.boolean(),
      pace: z.boolean(),
    }),
    result: outputShape,
  },
  /**
   * Bytes in base64; `end` closes stdin after them (a terminal has no end of input: send it ^D). `at`: where in all the input
   * the first of them is: what was taken before is dropped, a gap is refused with `input_gap`; null = behind what was taken.
   * Answers with the bytes that were taken so far.
   */
  "exec.write": {
    params: z.strictObject({
      run: idShape,
      bytes: base64Of(specLimits.inputBytesMax),
      at: z.int().min(0).nullable(),
      end: z.boolean(),
    }),
    result: z.strictObject({ inputBytes: z.int().min(0) }),
  },
  "exec.resize": { params: z.strictObject({ run: idShape, size }), result: z.null() },
  /** To every process of the run, or to its command only. */
  "exec.signal": {
    params: z.strictObject({ run: idShape, signal: z.string().max(16), to: z.enum(["all", "command"]) }),
    result: z.null(),
  },
  /**
   * `hurried`: without the graces, or what is left of them. Any other end joins one that is under way, and looks again at
   * what could not be ended. `nth`, which gateways of earlier versions send, is ignored. Resolves when the run is over, or with
   * its survivors.
   */
  "exec.end": {
    params: z.strictObject({
      run: idShape,
      reason: z.enum(endReasons),
      hurried: z.boolean(),
      nth: z.int().min(1).optional(),
    }),
    result: runShape,
  },
  /** Resolves when the run is over, or after `waitMs` with the run as it is then. */
  "exec.wait": { params: z.strictObject({ run: idShape, waitMs }), result: runShape },
  /** As `exec.wait`, with the last `bytesMax` of each stream: all there is to be known of a short command. */
  "exec.outcome": { params: z.strictObject({ run: idShape, waitMs, bytesMax }), result: outcomeShape },
  /** Live runs with their processes; `all` adds the ended ones that are remembered. */
  "run.list": { params: z.strictObject({ all: z.boolean() }), result: z.array(runShape) },
  /** Live runs that belong to a session, for the front to see whether it knows them all. */
  "exec.owners": { params: nothing, result: z.array(z.strictObject({ run: z.string(), sessionId: z.string() })) },
  /** Each leased run may live its whole lease from now on. Answers how many there are. */
  "exec.renew": { params: nothing, result: z.strictObject({ runs: z.int().min(0) }) },
  /** Runs that were started under a request id: the live ones, and the newest of the ended ones that are remembered. */
  "exec.requests": { params: nothing, result: z.array(requestedRunShape) },
  /** Forgets a run and its output. One that lives is ended first if `end`, else `run_alive` is thrown. */
  "exec.remove": { params: z.strictObject({ run: idShape, end: z.boolean() }), result: z.null() },
};
