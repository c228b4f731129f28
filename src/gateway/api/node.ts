/** `node.*`: other machines that offer to run things here. */
import { z } from "zod";
import { specLimits } from "../../keeper/protocol/background.ts";
import type { NodeView } from "../../nodes/gateway/nodes.ts";
import { method } from "./define.ts";
import { runShape, time } from "./shapes.ts";

const node = z.string().min(1).max(64).describe("its name, its id, or the first letters of its id");
const name = z.string().min(1).max(64).describe("letters, digits, - and _");

const nodeShape = z
  .object({
    id: z.string().describe("of its key: first 32 hex digits of the SHA-256"),
    name: z.string(),
    state: z.enum(["pending", "approved", "rejected", "revoked"]),
    connected: z.boolean().describe("here now, and has said what it runs"),
    waiting: z.boolean().describe("a connection of it waits to be approved"),
    once: z.boolean().describe("takes one run and ends"),
    about: z
      .object({ version: z.string(), platform: z.string(), arch: z.string(), tier: z.string(), hostname: z.string() })
      .describe("what it says of itself"),
    address: z.string().nullable().describe("from which it is connected"),
    createdAt: time.describe("when its key was seen first; ms since 1970"),
    decidedAt: time.nullable(),
    lastSeenAt: time.describe("to the minute; ms since 1970"),
    connectedAt: time.nullable(),
    roundTripMs: z.number().nullable().describe("of the last beat, to its keeper and back"),
    runs: z.int().describe("live ones of this gateway"),
  })
  .meta({ id: "Node", title: "Another machine that offers to run things" });
nodeShape satisfies z.ZodType<NodeView>;

const day = 24 * 3_600_000;

export const nodeApi = {
  "node.list": method({
    summary: "Every node that is known, whatever was decided about it.",
    scope: "read",
    params: z.strictObject({}),
    result: z.array(nodeShape),
    errors: [],
  }),
  "node.describe": method({
    summary: "One node, with the runs that it has for this gateway.",
    scope: "read",
    params: z.strictObject({ node }),
    result: z.object({ node: nodeShape, runs: z.array(runShape) }),
    errors: ["node_unknown"],
  }),
  "node.invoke": method({
    summary:
      "Runs a command on a node and answers with its result; after `waitMs` with what there is, and the run goes on (`run.wait`, `run.log`).",
    scope: "run",
    params: z.strictObject({
      node,
      command: z.string().min(1).optional().describe("a line for /bin/sh; else `argv`"),
      argv: z.array(z.string()).min(1).max(10_000).optional().describe("program and arguments"),
      cwd: z.string().max(4096).optional().describe("absolute; the node's home directory by default"),
      env: z.record(z.string(), z.string()).default({}).describe("added to the node's clean base"),
      stdin: z
        .string()
        .max(specLimits.inputBytesMax)
        .optional()
        .describe("all of its input; at its end at once without it"),
      sessionId: z.string().max(128).optional().describe("the run ends with this session of the caller's"),
      timeoutMs: z.int().min(0).max(2_147_483_647).default(0).describe("for the command; 0 = none"),
      waitMs: z.int().min(0).max(600_000).default(30_000),
      outputBytesMax: z
        .int()
        .min(1)
        .max(256 * 1024)
        .default(64 * 1024)
        .describe("given of each stream, from its end"),
    }),
    result: z.object({
      run: runShape,
      stdout: z.string(),
      stderr: z.string(),
      stdoutBytes: z.int().describe("printed in all"),
      stderrBytes: z.int().describe("printed in all"),
    }),
    errors: [
      "node_unknown",
      "node_absent",
      "node_lost",
      "exec_refused",
      "run_limit",
      "session_unknown",
      "spawn_failed",
    ],
  }),
  "node.pending": method({
    summary: "Nodes that wait to be approved.",
    scope: "read",
    params: z.strictObject({}),
    result: z.array(nodeShape),
    errors: [],
  }),
  "node.approve": method({
    summary: "Lets a node run things from now on; one that waits is in at once.",
    scope: "admin",
    params: z.strictObject({ node, name: name.optional() }),
    result: nodeShape,
    errors: ["node_unknown", "node_name_taken"],
  }),
  "node.reject": method({
    summary: "Refuses a node, now and when it comes again.",
    scope: "admin",
    params: z.strictObject({ node }),
    result: nodeShape,
    errors: ["node_unknown"],
  }),
  "node.revoke": method({
    summary:
      "Takes an approval back: what runs there is ended, as far as that is soon done, and its connection with it.",
    scope: "admin",
    params: z.strictObject({ node }),
    result: nodeShape,
    errors: ["node_unknown"],
  }),
  "node.forget": method({
    summary:
      "Takes a node that is not approved off the list, with the records of what it ran; should it come again, it is a new one. Answers with what it was.",
    scope: "admin",
    params: z.strictObject({ node }),
    result: nodeShape,
    errors: ["node_unknown", "node_approved"],
  }),
  "node.rename": method({
    summary: "Gives a node another name; what it runs is shown under it from now on.",
    scope: "admin",
    params: z.strictObject({ node, name }),
    result: nodeShape,
    errors: ["node_unknown", "node_name_taken"],
  }),
  "node.invite": method({
    summary: "A secret that lets one new node in without being approved, once.",
    scope: "admin",
    params: z.strictObject({
      name: name.optional().describe("that the node gets, whatever it wants to be called"),
      validMs: z
        .int()
        .min(1000)
        .max(30 * day)
        .default(day),
    }),
    result: z.object({
      invite: z.string().describe("the secret; only its digest is kept"),
      expiresAt: time,
      urls: z.array(z.string()).describe("where the gateway listens"),
      fingerprint: z.string().describe("SHA-256 of the gateway's certificate, hex; empty without TLS"),
    }),
    errors: ["node_name_taken"],
  }),
};
