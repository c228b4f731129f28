/** The exact form of each word between gateway and node. Neither side believes the other: what does not fit ends the connection. */
import { z } from "zod";
import { errorCodes, type ErrorCode } from "../../errors.ts";
import { backgroundShapes, requestIdShape } from "../keeper/background-shapes.ts";
import { endReasons, type RunView } from "../keeper/messages.ts";
import { refusalCodes, type GatewayWord, type NodeRequestName, type NodeWord } from "./words.ts";

const id = z.int().min(1);
const text = z.string().max(256);
const message = z.string().max(8192);
const time = z.int();
const hex = (characters: number) => z.string().regex(new RegExp(`^[0-9a-f]{${characters}}$`));
/** Bytes in base64url without padding; 32 bytes are 43 characters, 64 are 86. */
const base64url = (characters: number) => z.string().regex(new RegExp(`^[A-Za-z0-9_-]{${characters}}$`));
export const nodeIdShape = hex(32);
export const nodeNameShape = z
  .string()
  .regex(
    /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/,
    "is letters, digits, - and _, at most 64, and begins with a letter or digit",
  );
const milliseconds = z.int().min(1).max(2_147_483_647);

const processShape = z.strictObject({
  pid: z.int(),
  ppid: z.int(),
  state: z.string().max(1),
  rssBytes: z.int().min(0),
  startedAt: time,
  command: z.string(),
});

const sizeShape = z.strictObject({ columns: z.int(), rows: z.int() });

/** A run as a node tells it. */
export const nodeRunShape = z.strictObject({
  id: text,
  kind: z.enum(["exec", "pty", "mcp"]),
  server: text.nullable(),
  sessionId: text.nullable(),
  scopeKey: text.nullable(),
  host: text,
  state: z.enum(["starting", "running", "stopping", "exited", "lost"]),
  pid: z.int().nullable(),
  startedAt: time,
  endedAt: time.nullable(),
  leaderEndedAt: time.nullable(),
  command: z.string(),
  cwd: z.string().nullable(),
  background: z
    .strictObject({
      request: requestIdShape.nullable(),
      outputBytes: z.int().min(0),
      lastOutputAt: time.nullable(),
      lastInputAt: time.nullable(),
      lastViewedAt: time.nullable(),
      onFrontLoss: z.enum(["keep", "kill"]),
      keepMs: z.int().min(0),
      size: sizeShape.nullable(),
      growing: z.string().nullable(),
    })
    .nullable(),
  endReason: z.enum(endReasons).nullable(),
  exitCode: z.int().nullable(),
  signal: text.nullable(),
  survivors: z.array(processShape),
  processes: z.array(processShape),
});
nodeRunShape satisfies z.ZodType<RunView>;

/** Parameters of each ask. In all of them `run` is the request id. */
const askShapes = {
  ...backgroundShapes,
  // Without one a start could not be asked again; and nothing runs for a gateway that may be gone for ever.
  "exec.start": backgroundShapes["exec.start"].extend({ request: requestIdShape, leaseMs: milliseconds }),
  "run.list": z.strictObject({ all: z.boolean() }),
  "lease.renew": z.strictObject({ leaseMs: milliseconds }),
} satisfies Record<NodeRequestName, z.ZodType>;

const outputEnd = { offset: z.int().min(0), bytes: z.base64(), printed: z.int().min(0) };
const outputShape = z.strictObject({
  ...outputEnd,
  run: nodeRunShape,
  sizes: z.array(sizeShape.extend({ offset: z.int().min(0) })),
});

/** What a reply to each ask has to be. */
export const replyShapes = {
  "exec.start": nodeRunShape,
  "exec.read": outputShape,
  "exec.write": z.strictObject({ inputBytes: z.int().min(0) }),
  "exec.resize": z.null(),
  "exec.signal": z.null(),
  "exec.end": nodeRunShape,
  "exec.wait": nodeRunShape,
  "exec.outcome": z.strictObject({
    run: nodeRunShape,
    stdout: z.strictObject(outputEnd),
    stderr: z.strictObject(outputEnd),
  }),
  "run.list": z.array(nodeRunShape),
  "lease.renew": z.strictObject({ runs: z.int().min(0) }),
} satisfies Record<NodeRequestName, z.ZodType>;

const askNames = Object.keys(askShapes) as NodeRequestName[];
const asks = askNames.map((name) =>
  z.strictObject({ type: z.literal("ask"), id, name: z.literal(name), params: askShapes[name] }),
);

const gatewayWord = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("challenge"),
    nonce: base64url(43),
    gateway: z.string().regex(/^[0-9a-f]{8,64}$/),
    version: text,
  }),
  z.strictObject({ type: z.literal("pending"), node: nodeIdShape }),
  z.strictObject({
    type: z.literal("welcome"),
    node: nodeIdShape,
    name: nodeNameShape,
    leaseMs: milliseconds,
    beatMs: milliseconds,
  }),
  z.strictObject({ type: z.literal("refused"), code: z.enum(refusalCodes), message }),
  z.discriminatedUnion("name", [asks[0]!, ...asks.slice(1)]),
]);

const errorCodeShape = z.custom<ErrorCode>((value) => typeof value === "string" && Object.hasOwn(errorCodes, value));

const nodeWord = z.discriminatedUnion("type", [
  z.strictObject({
    type: z.literal("prove"),
    publicKey: base64url(43),
    instance: hex(16),
    name: nodeNameShape,
    invite: z.string().min(1).max(256).nullable(),
    once: z.boolean(),
    about: z.strictObject({ version: text, platform: text, arch: text, tier: text, hostname: text }),
    signature: base64url(86),
  }),
  z.strictObject({
    type: z.literal("runs"),
    runs: z.array(z.strictObject({ request: requestIdShape, run: nodeRunShape })),
    more: z.boolean(),
  }),
  z.strictObject({ type: z.literal("reply"), id, result: z.unknown() }),
  z.strictObject({ type: z.literal("refusal"), id, code: errorCodeShape, message }),
  z.strictObject({ type: z.literal("state"), request: requestIdShape, run: nodeRunShape }),
]);

export type Heard<W> = { word: W } | { wrong: string };

/** What the node makes of a frame of its gateway. */
export function hearGateway(frame: string): Heard<GatewayWord> {
  return hear(gatewayWord, frame) as Heard<GatewayWord>;
}

/** What the gateway makes of a frame of a node. */
export function hearNode(frame: string): Heard<NodeWord> {
  return hear(nodeWord, frame) as Heard<NodeWord>;
}

function hear(shape: z.ZodType, frame: string): Heard<unknown> {
  let heard: unknown;
  try {
    heard = JSON.parse(frame);
  } catch {
    return { wrong: "no JSON" };
  }
  const parsed = shape.safeParse(heard);
  return parsed.success ? { word: parsed.data } : { wrong: z.prettifyError(parsed.error) };
}
