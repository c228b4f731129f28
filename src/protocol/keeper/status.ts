/** What the keeper tells of itself for `status` and for metrics. */
import { z } from "zod";
import { runKinds, runStates } from "../run.ts";
import { time } from "../shapes.ts";

export const crashShape = z
  .strictObject({
    who: z.enum(["front", "guardian", "keeper"]),
    epoch: z.int().describe("of the keeper at that time"),
    at: time.describe("when it was noticed; for a keeper, its last sign of life"),
    pid: z.int(),
    why: z
      .enum(["died", "stuck", "threw", "vanished", "machine-restarted"])
      .describe("died: see exitCode, signal; stuck: blocked event loop; vanished: no clean stop"),
    detail: z.string().nullable().describe("more about the cause"),
    exitCode: z.int().nullable(),
    signal: z.string().nullable(),
    lastMethod: z.string().nullable().describe("last handler it announced"),
    downMs: z.number().nullable().describe("until another front served; null: not yet, or not a front"),
    file: z.string().describe("the end of its stderr"),
  })
  .meta({ id: "Crash", title: "One crash of a front, a guardian or a keeper" });
export type CrashView = z.infer<typeof crashShape>;

const processFigures = z.strictObject({ pid: z.int(), rssBytes: z.int() });
/** A process that the keeper keeps alive. */
const helperShape = z.strictObject({
  pid: z.int().describe("0: none alive"),
  rssBytes: z.int(),
  restarts: z.int(),
  state: z.enum(["idle", "starting", "serving", "draining", "gone"]),
  problem: z.string().nullable().describe("why the last start failed, or null"),
});

export const keeperStatusShape = z.strictObject({
  version: z.string(),
  tier: z.string().describe("containment tier"),
  epoch: z.int().describe("one life of the keeper"),
  keeper: processFigures,
  front: helperShape,
  guardian: helperShape,
  runs: z.int().describe("live runs on this machine"),
  hosts: z
    .array(
      z.strictObject({
        host: z.string(),
        tier: z.string().nullable().describe("null before the first connection"),
        connections: z.int(),
        runs: z.int(),
        silentSince: time.nullable().describe("a connection has not answered since; null while all answer"),
        sweeping: z.boolean().describe("still to be checked for processes of lost connections"),
      }),
    )
    .describe("ssh hosts"),
  orphansSwept: z.int().describe("processes of earlier lives, ended by this start"),
  reconciled: z.array(z.string()).describe("what this start found"),
  crashes: z.array(crashShape),
  startedAt: time,
});
export type KeeperStatus = z.infer<typeof keeperStatusShape>;

/** What the keeper adds to metrics. */
export const keeperFiguresShape = z.strictObject({
  /** Live runs. */
  runs: z.array(z.strictObject({ kind: z.enum(runKinds), state: z.enum(runStates), count: z.int() })),
  /** Ended runs of this epoch, by end reason. */
  ends: z.array(z.strictObject({ reason: z.string(), count: z.int() })),
  /** The longest that the keeper's loop was late since this was asked last, in milliseconds. */
  lagMs: z.number(),
  /** Its open descriptors. */
  descriptors: z.int(),
});
export type KeeperFigures = z.infer<typeof keeperFiguresShape>;
