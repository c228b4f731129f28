/** Checks what the front says before the keeper acts on it: the front speaks to the network and may be anybody's by now. */
import { z } from "zod";
import { readBytesMax, specLimits, waitMsMax } from "./background.ts";
import { blobBytesMax, endReasons, type FrontMessage } from "./messages.ts";

const id = z.string().min(1).max(128);
const request = z.int().min(1);
const channel = z.int().min(1).max(0xffff_ffff);
const none = z.strictObject({});
const blob = z.string().max(blobBytesMax);

const milliseconds = z.int().min(0).max(2_147_483_647);
const size = z.strictObject({ columns: z.int().min(1).max(65_535), rows: z.int().min(1).max(65_535) });
const bytes64 = z.string().max(Math.ceil(specLimits.inputBytesMax / 3) * 4);
/** Bounds only: what a spec may be is the config's to say, and background/policy.ts checks that with words for people. */
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
const run = id;
const read = z.strictObject({
  run,
  offset: z.int().min(0),
  bytesMax: z.int().min(1).max(readBytesMax),
  waitMs: z.int().min(0).max(waitMsMax),
  viewer: z.boolean(),
  pace: z.boolean(),
});

const message = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("run.start"),
    request,
    // By name only: a front that sends a command, an argument or an environment is refused as a whole.
    params: z.strictObject({ server: id, sessionId: id, onFrontLoss: z.enum(["keep", "kill"]), blob }),
  }),
  z.strictObject({ type: z.literal("run.adopt"), request, params: z.strictObject({ run: id }) }),
  z.strictObject({
    type: z.literal("run.stop"),
    request,
    params: z.strictObject({ run: id, reason: z.enum(endReasons) }),
  }),
  z.strictObject({ type: z.literal("run.setBlob"), request, params: z.strictObject({ run: id, blob }) }),
  z.strictObject({ type: z.literal("run.list"), request, params: z.strictObject({ all: z.boolean() }) }),
  z.strictObject({ type: z.literal("exec.start"), request, params: spec }),
  z.strictObject({ type: z.literal("exec.read"), request, params: read }),
  z.strictObject({
    type: z.literal("exec.write"),
    request,
    params: z.strictObject({ run, bytes: bytes64, end: z.boolean() }),
  }),
  z.strictObject({ type: z.literal("exec.resize"), request, params: z.strictObject({ run, size }) }),
  z.strictObject({
    type: z.literal("exec.signal"),
    request,
    params: z.strictObject({ run, signal: z.string().max(16), to: z.enum(["all", "command"]) }),
  }),
  z.strictObject({
    type: z.literal("exec.end"),
    request,
    params: z.strictObject({ run, reason: z.enum(endReasons), hurried: z.boolean() }),
  }),
  z.strictObject({
    type: z.literal("exec.wait"),
    request,
    params: z.strictObject({ run, waitMs: z.int().min(0).max(waitMsMax) }),
  }),
  z.strictObject({ type: z.literal("exec.owners"), request, params: none }),
  z.strictObject({ type: z.literal("exec.remove"), request, params: z.strictObject({ run, end: z.boolean() }) }),
  z.strictObject({ type: z.literal("gateway.status"), request, params: none }),
  z.strictObject({ type: z.literal("gateway.figures"), request, params: none }),
  z.strictObject({ type: z.literal("gateway.stop"), request, params: none }),
  z.strictObject({ type: z.literal("gateway.restart"), request, params: z.strictObject({ all: z.boolean() }) }),
  z.strictObject({ type: z.literal("listening"), urls: z.array(z.url()).min(1).max(64) }),
  z.strictObject({
    type: z.literal("failed"),
    code: z.enum(["port_in_use", "bind_refused", "internal"]),
    message: z.string().max(4096),
  }),
  z.strictObject({
    type: z.literal("credit"),
    channel,
    bytes: z
      .int()
      .min(1)
      .max(64 * 1024 * 1024),
  }),
  z.strictObject({ type: z.literal("heartbeat"), lastMethod: z.string().max(256) }),
]);

export type Accepted = { message: FrontMessage } | { refused: string; request: number | undefined };

/** The message, or why it is none and which request (if it names one) is to be told. */
export function accept(heard: unknown): Accepted {
  const parsed = message.safeParse(heard);
  if (parsed.success) return { message: parsed.data as FrontMessage };
  const asked = (heard as { request?: unknown } | null)?.request;
  const number = request.safeParse(asked);
  return { refused: z.prettifyError(parsed.error), request: number.success ? number.data : undefined };
}
