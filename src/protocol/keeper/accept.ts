/** Checks what the front says before the keeper acts on it: the front speaks to the network and may be anybody's by now. */
import { z } from "zod";
import { backgroundShapes } from "./background-shapes.ts";
import { nodePhases } from "./node.ts";
import { errorCodes, type ErrorCode } from "../../errors.ts";
import { blobBytesMax, endReasons, type FrontMessage } from "./messages.ts";

const id = z.string().min(1).max(128);
const request = z.int().min(1);
const channel = z.int().min(1).max(0xffff_ffff);
const none = z.strictObject({});
const errorCode = z.custom<ErrorCode>((code) => typeof code === "string" && Object.hasOwn(errorCodes, code));
const blob = z.string().max(blobBytesMax);

const message = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("run.start"),
    request,
    // By name only: a front that sends a command, an argument or an environment is refused as a whole.
    params: z.strictObject({ server: id, sessionId: id, onFrontLoss: z.enum(["keep", "kill"]), blob }),
  }),
  z.strictObject({ type: z.literal("run.abandon"), request, params: z.strictObject({ server: id, sessionId: id }) }),
  z.strictObject({ type: z.literal("run.refresh"), request, params: z.strictObject({ server: id.nullable() }) }),
  z.strictObject({ type: z.literal("run.launches"), request, params: none }),
  z.strictObject({ type: z.literal("run.adopt"), request, params: z.strictObject({ run: id }) }),
  z.strictObject({
    type: z.literal("run.stop"),
    request,
    params: z.strictObject({ run: id, reason: z.enum(endReasons) }),
  }),
  z.strictObject({ type: z.literal("run.setBlob"), request, params: z.strictObject({ run: id, blob }) }),
  z.strictObject({ type: z.literal("run.list"), request, params: z.strictObject({ all: z.boolean() }) }),
  ...(Object.keys(backgroundShapes) as (keyof typeof backgroundShapes)[]).map((name) =>
    z.strictObject({ type: z.literal(name), request, params: backgroundShapes[name] }),
  ),
  z.strictObject({ type: z.literal("exec.owners"), request, params: none }),
  z.strictObject({ type: z.literal("exec.renew"), request, params: none }),
  z.strictObject({ type: z.literal("exec.requests"), request, params: none }),
  z.strictObject({ type: z.literal("exec.remove"), request, params: z.strictObject({ run: id, end: z.boolean() }) }),
  z.strictObject({ type: z.literal("gateway.status"), request, params: none }),
  z.strictObject({ type: z.literal("gateway.figures"), request, params: none }),
  z.strictObject({ type: z.literal("gateway.stop"), request, params: none }),
  z.strictObject({ type: z.literal("gateway.restart"), request, params: z.strictObject({ all: z.boolean() }) }),
  z.strictObject({ type: z.literal("config.reload"), request, params: none }),
  z.strictObject({ type: z.literal("config.recheck"), request, params: none }),
  z.strictObject({ type: z.literal("listening"), urls: z.array(z.url()).min(1).max(64) }),
  z.strictObject({
    type: z.literal("failed"),
    code: z.enum(["port_in_use", "bind_refused", "state_locked", "state_unusable", "internal"]),
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
  z.strictObject({
    type: z.literal("progress"),
    progress: z.strictObject({
      phase: z.enum(nodePhases),
      text: z.string().max(16_384),
      data: z.record(z.string().max(64), z.union([z.string().max(16_384), z.number(), z.null()])),
    }),
  }),
  z.strictObject({
    type: z.literal("finished"),
    finish: z.strictObject({
      exitCode: z.int().min(0).max(255).nullable(),
      failure: z.strictObject({ code: errorCode, message: z.string().max(16_384) }).nullable(),
    }),
  }),
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
