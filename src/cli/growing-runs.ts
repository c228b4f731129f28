/** What the gateway of this state directory says of runs that keep growing, for the doctor: asked for, and never waited on for long. */
import { GatewayClient } from "../client/rpc.ts";
import { clip } from "./describe-run.ts";
import { findKeeper } from "./running-keeper.ts";

export interface GrowingRun {
  id: string;
  command: string;
  /** Which command there is most of, and how often. */
  what: string;
}

/** The doctor's own report is worth more than this part of it. */
const answerMsMax = 3000;

/** Null: no gateway runs there, or none that would answer this user in time. */
export async function growingRuns(state: string): Promise<GrowingRun[] | null> {
  try {
    if (findKeeper(state) === undefined) return null;
    const client = new GatewayClient({ state });
    const runs = await client.call("run.list", {}, { limitMs: answerMsMax });
    return runs.flatMap(({ id, command, background }) =>
      background === null || background.growing === null ? [] : [{ id, command, what: background.growing }],
    );
  } catch {
    return null; // the state directory of somebody else, a gateway that stops: the doctor examines all the same
  }
}

export function describeGrowing(runs: GrowingRun[] | null): string[] {
  return (runs ?? []).map(
    ({ id, command, what }) =>
      `Run ${id} of the gateway keeps growing: ${what}  (${clip(command)}). \`holdfast process kill ${id}\` ends it.`,
  );
}
