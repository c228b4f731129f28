/** `node.*`: other machines that run things for this gateway. */
import { z } from "zod";
import { specLimits } from "../background.ts";
import { method } from "./define.ts";
import { runShape } from "../run.ts";
import { time } from "../shapes.ts";

const node = z.string().min(1).max(64).describe("name, id or prefix of the id");
const name = z.string().min(1).max(64).describe("letters, digits, - and _");

const nodeShape = z
  .object({
    id: z.string().describe("first 32 hex digits of its key's SHA-256"),
    name: z.string(),
    state: z.enum(["pending", "approved", "rejected", "revoked"]),
    connected: z.boolean().describe("connected, and has reported its runs"),
    waiting: z.boolean().describe("a connection is waiting for approval"),
    once: z.boolean().describe("takes one run, then exits"),
    about: z
      .object({ version: z.string(), platform: z.string(), arch: z.string(), tier: z.string(), hostname: z.string() })
      .describe("as reported by the node"),
    address: z.string().nullable().describe("of its connection"),
    createdAt: time.describe("when its key was first seen"),
    decidedAt: time.nullable(),
    lastSeenAt: time.describe("to the minute"),
    silentSince: time.nullable().describe("connected, but has not answered since; null while it answers"),
    connectedAt: time.nullable(),
    roundTripMs: z.number().nullable().describe("of the last heartbeat, including its keeper"),
    runs: z.int().describe("live runs of this gateway"),
  })
  .meta({ id: "Node", title: "Another machine that runs things for this gateway" });
export type NodeView = z.infer<typeof nodeShape>;

const day = 24 * 3_600_000;

export const nodeApi = {
  "node.list": method({
    summary: "Every known node.",
    scope: "read",
    params: z.strictObject({}),
    result: z.array(nodeShape),
    errors: [],
  }),
  "node.describe": method({
    summary: "One node and its runs for this gateway.",
    scope: "read",
    params: z.strictObject({ node }),
    result: z.object({ node: nodeShape, runs: z.array(runShape) }),
    errors: ["node_unknown"],
  }),
  "node.invoke": method({
    summary:
      "Runs a command on a node and answers with its result, or after `waitMs` with the output so far; the run then continues (`run.wait`, `run.log`).",
    scope: "run",
    params: z.strictObject({
      node,
      command: z.string().min(1).optional().describe("a line for the shell; or use `argv`"),
      argv: z.array(z.string()).min(1).max(10_000).optional().describe("program and arguments"),
      cwd: z.string().max(4096).optional().describe("absolute; default: the node's home directory"),
      env: z.record(z.string(), z.string()).default({}).describe("added to the node's base environment"),
      stdin: z.string().max(specLimits.inputBytesMax).optional().describe("the whole input; default: empty"),
      sessionId: z.string().max(128).optional().describe("one of the caller's sessions, with which the run ends"),
      timeoutMs: z.int().min(0).max(2_147_483_647).default(0).describe("of the command; 0 = unlimited"),
      waitMs: z.int().min(0).max(600_000).default(30_000),
      outputBytesMax: z
        .int()
        .min(1)
        .max(256 * 1024)
        .default(64 * 1024)
        .describe("of each stream, from its end"),
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
    summary: "Nodes waiting for approval.",
    scope: "read",
    params: z.strictObject({}),
    result: z.array(nodeShape),
    errors: [],
  }),
  "node.approve": method({
    summary: "Approves a node; one that is waiting is connected at once.",
    scope: "admin",
    params: z.strictObject({ node, name: name.optional() }),
    result: nodeShape,
    errors: ["node_unknown", "node_name_taken"],
  }),
  "node.reject": method({
    summary: "Rejects a node, now and in future.",
    scope: "admin",
    params: z.strictObject({ node }),
    result: nodeShape,
    errors: ["node_unknown"],
  }),
  "node.revoke": method({
    summary: "Revokes an approval: ends the node's runs (3 s at most), then its connection.",
    scope: "admin",
    params: z.strictObject({ node }),
    result: nodeShape,
    errors: ["node_unknown"],
  }),
  "node.forget": method({
    summary:
      "Deletes an unapproved node and the records of its runs; it counts as new if it returns. Answers with the deleted node.",
    scope: "admin",
    params: z.strictObject({ node }),
    result: nodeShape,
    errors: ["node_unknown", "node_approved"],
  }),
  "node.rename": method({
    summary: "Renames a node.",
    scope: "admin",
    params: z.strictObject({ node, name }),
    result: nodeShape,
    errors: ["node_unknown", "node_name_taken"],
  }),
  "node.invite": method({
    summary: "Makes a secret that approves one new node, once.",
    scope: "admin",
    params: z.strictObject({
      name: name.optional().describe("overrides the name that the node asks for"),
      validMs: z
        .int()
        .min(1000)
        .max(30 * day)
        .default(day),
    }),
    result: z.object({
      invite: z.string().describe("the secret; only its digest is stored"),
      expiresAt: time,
      urls: z.array(z.string()).describe("where the gateway listens"),
      fingerprint: z.string().describe("SHA-256 of the gateway's certificate, hex; empty without TLS"),
    }),
    errors: ["node_name_taken"],
  }),
};
