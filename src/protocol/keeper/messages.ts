/**
 * Control messages between keeper and front, JSON over `fork` IPC; besides them only frames cross (frames.ts). Both ends check
 * what they hear with these schemas. The front speaks to the network: what it says is bounded, and names no command.
 */
import { z } from "zod";
import { isLifecycleName, type LifecycleEvent } from "../../events.ts";
import { backgroundRequests } from "../background.ts";
import { endReasons, onFrontLossShape, runShape } from "../run.ts";
import { errorCodeShape, idShape, nothing, readAs, type Read, type Requests } from "../shapes.ts";
import { configChangeShape, frontConfigShape, frontServerShape, tokenGrantShape } from "./front-config.ts";
import { nodeFinishShape, nodeProgressShape, nodeSettingsShape } from "./node.ts";
import { keeperFiguresShape, keeperStatusShape } from "./status.ts";

/** Largest opaque blob per run, in bytes. */
export const blobBytesMax = 64 * 1024;

/** Why a front could not begin. */
export const failureCodes = ["port_in_use", "bind_refused", "state_locked", "state_unusable", "internal"] as const;
export const failureCharactersMax = 4096;

const request = z.int().min(1);
const channel = z.int().min(1).max(0xffff_ffff);
const blob = z.string().max(blobBytesMax);
const credit = z.strictObject({
  type: z.literal("credit"),
  channel,
  bytes: z
    .int()
    .min(1)
    .max(64 * 1024 * 1024),
});

/** How a server with `resolveNpx` was started last. */
const launchShape = z.strictObject({
  /** What is run without npx, with versions; empty = npx starts it. */
  packages: z.array(z.string()),
  /** Milliseconds since the epoch. */
  installedAt: z.number().nullable(),
  /** Why npx starts it, or why older files are used. */
  problem: z.string().nullable(),
});
export type LaunchView = z.infer<typeof launchShape>;

/** A run that outlived its front, offered to the next one, which takes it with `run.adopt` before it listens, or loses it. */
const heldRunShape = z.strictObject({
  run: runShape,
  /** Written by the previous front for its successor; opaque to the keeper. */
  blob: z.string(),
  /** Requests without an answer: `toServer` were asked by a front, `toFront` by the server under an id of its own making. */
  openIds: z.strictObject({
    toServer: z.array(z.number()),
    toFront: z.array(z.strictObject({ number: z.number(), serverId: z.string() })),
  }),
});
export type HeldRun = z.infer<typeof heldRunShape>;
export type HeldIds = HeldRun["openIds"];

const startedShape = z.strictObject({ channel, run: runShape });

/** What the front may ask, by name; each is answered by `reply` or `refusal` with the same `request` number. */
export const frontRequests = {
  ...backgroundRequests,
  /** By name only: a command, an argument or an environment is an unknown field. */
  "run.start": {
    params: z.strictObject({ server: idShape, sessionId: idShape, onFrontLoss: onFrontLossShape, blob }),
    result: startedShape,
  },
  /** The session wants no run of this server any more: a start that still waits for its packages is given up. */
  "run.abandon": { params: z.strictObject({ server: idShape, sessionId: idShape }), result: z.null() },
  /** Null = all. Packages by server, of those with `resolveNpx`: they are installed anew by the next start. */
  "run.refresh": {
    params: z.strictObject({ server: idShape.nullable() }),
    result: z.record(z.string(), z.array(z.string())),
  },
  /** By name of the server; only those with `resolveNpx` that were started. */
  "run.launches": { params: nothing, result: z.record(z.string(), launchShape) },
  /** Takes over a run of `hello.runs`: from the answer on its lines come. */
  "run.adopt": { params: z.strictObject({ run: idShape }), result: startedShape },
  "run.stop": { params: z.strictObject({ run: idShape, reason: z.enum(endReasons) }), result: runShape },
  "run.setBlob": { params: z.strictObject({ run: idShape, blob }), result: z.null() },
  "gateway.status": { params: nothing, result: keeperStatusShape },
  "gateway.figures": { params: nothing, result: keeperFiguresShape },
  "gateway.stop": { params: nothing, result: z.null() },
  "gateway.restart": { params: z.strictObject({ all: z.boolean() }), result: z.null() },
  /** Reads the config again. The message `servers` comes before the answer. */
  "config.reload": { params: nothing, result: configChangeShape },
  /** Looks again at the servers that could not be had. If one can be now, the message `servers` comes before the answer. */
  "config.recheck": { params: nothing, result: z.null() },
};
export type FrontRequests = Requests<typeof frontRequests>;
export type FrontRequestName = keyof FrontRequests;
type FrontRequest = {
  [N in FrontRequestName]: { type: N; request: number; params: FrontRequests[N]["params"] };
}[FrontRequestName];

const frontNotices = z.discriminatedUnion("type", [
  z.strictObject({ type: z.literal("listening"), urls: z.array(z.url()).min(1).max(64) }),
  z.strictObject({
    type: z.literal("failed"),
    code: z.enum(failureCodes),
    message: z.string().max(failureCharactersMax),
  }),
  credit,
  z.strictObject({ type: z.literal("heartbeat"), lastMethod: z.string().max(256) }),
  z.strictObject({ type: z.literal("progress"), progress: nodeProgressShape }),
  z.strictObject({ type: z.literal("finished"), finish: nodeFinishShape }),
]);
export type FrontMessage = FrontRequest | z.infer<typeof frontNotices>;

export const frontMessage = z.discriminatedUnion("type", [
  ...frontNotices.options,
  ...Object.entries(frontRequests).map(([name, { params }]) =>
    z.strictObject({ type: z.literal(name), request, params }),
  ),
]);

const eventShape = z.strictObject({
  name: z.string().refine(isLifecycleName),
  at: z.number(),
  data: z.record(z.string(), z.unknown()),
}) as unknown as z.ZodType<LifecycleEvent>;

export const keeperMessage = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("hello"),
    version: z.string(),
    epoch: z.int(),
    frontEpoch: z.int(),
    tokens: z.array(tokenGrantShape),
    frontDir: z.string(),
    config: frontConfigShape,
    /** Null: the front is a gateway's. */
    node: nodeSettingsShape.nullable(),
    runs: z.array(heldRunShape),
  }),
  z.strictObject({ type: z.literal("reply"), request, result: z.unknown() }),
  z.strictObject({ type: z.literal("refusal"), request, code: errorCodeShape, message: z.string() }),
  z.strictObject({ type: z.literal("run.state"), run: runShape, channel }),
  credit,
  /** All that are good from now on; connections of any other are to be closed. */
  z.strictObject({ type: z.literal("tokens"), tokens: z.array(tokenGrantShape) }),
  /** All servers as they are from now on, and what has changed. */
  z.strictObject({ type: z.literal("servers"), servers: z.array(frontServerShape), change: configChangeShape }),
  z.strictObject({ type: z.literal("event"), event: eventShape }),
  z.strictObject({ type: z.literal("drain"), reason: z.string() }),
]);
export type KeeperMessage = z.infer<typeof keeperMessage>;

/** For the keeper: a message of its front, or what is wrong with it, and which request (if it names one) is to be told. */
export function readFrontMessage(
  heard: unknown,
): { message: FrontMessage } | { wrong: string; request: number | undefined } {
  const read = readAs<FrontMessage>(frontMessage, heard);
  if ("message" in read) return read;
  const number = request.safeParse((heard as { request?: unknown } | null)?.request);
  return { ...read, request: number.success ? number.data : undefined };
}

/** For the front. */
export function readKeeperMessage(heard: unknown): Read<KeeperMessage> {
  return readAs(keeperMessage, heard);
}
