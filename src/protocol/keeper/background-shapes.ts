/** The exact form of what is asked about background runs: bounds only; what a spec may be is the policy's to say, in words for people. */
import { z } from "zod";
import { readBytesMax, specLimits, waitMsMax } from "./background.ts";
import { endReasons } from "./messages.ts";

const id = z.string().min(1).max(128);
const milliseconds = z.int().min(0).max(2_147_483_647);
const size = z.strictObject({ columns: z.int().min(1).max(65_535), rows: z.int().min(1).max(65_535) });
const bytes64 = z.string().max(Math.ceil(specLimits.inputBytesMax / 3) * 4);
const waitMs = z.int().min(0).max(waitMsMax);

/** The caller's own name for a start: the same one never starts twice. */
export const requestIdShape = z.string().regex(/^[A-Za-z0-9-]{1,64}$/);

const spec = z.strictObject({
  kind: z.enum(["exec", "pty"]),
  argv: z.array(z.string()).min(1).max(10_000),
  host: z.string(),
  cwd: z.string().max(4096).nullable(),
  env: z.record(z.string(), z.string()),
  sessionId: id.nullable(),
  scopeKey: z.string().min(1).max(256).nullable(),
  replaceExistingScope: z.boolean(),
  background: z.boolean(),
  streams: z.enum(["merged", "apart"]),
  request: requestIdShape.nullable(),
  leaseMs: milliseconds,
  onFrontLoss: z.enum(["keep", "kill"]),
  keepMs: milliseconds.nullable(),
  timeoutMs: milliseconds,
  noOutputTimeoutMs: milliseconds.nullable(),
  maxLifetimeMs: milliseconds,
  descendants: z.enum(["reap", "keep-until-scope-ends"]),
  size,
  stdin: z.boolean(),
  limits: z.strictObject({
    processesMax: z.int().min(1).optional(),
    memoryBytesMax: z
      .int()
      .min(1024 * 1024)
      .optional(),
  }),
});

/** By request name; those that take nothing, or only a run, are in accept.ts. */
export const backgroundShapes = {
  "exec.start": spec,
  "exec.read": z.strictObject({
    run: id,
    stream: z.enum(["stdout", "stderr"]),
    offset: z.int().min(0),
    bytesMax: z.int().min(1).max(readBytesMax),
    waitMs,
    viewer: z.boolean(),
    pace: z.boolean(),
  }),
  "exec.write": z.strictObject({ run: id, bytes: bytes64, at: z.int().min(0).nullable(), end: z.boolean() }),
  "exec.resize": z.strictObject({ run: id, size }),
  "exec.signal": z.strictObject({ run: id, signal: z.string().max(16), to: z.enum(["all", "command"]) }),
  "exec.end": z.strictObject({
    run: id,
    reason: z.enum(endReasons),
    hurried: z.boolean(),
    nth: z.int().min(1).optional(),
  }),
  "exec.wait": z.strictObject({ run: id, waitMs }),
  "exec.outcome": z.strictObject({ run: id, waitMs, bytesMax: z.int().min(1).max(readBytesMax) }),
};
