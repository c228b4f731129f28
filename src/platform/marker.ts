/** Markers that identify our processes when every other record of them is lost. */

/** `HOLDFAST_RUN=<outer marker>/<owner id>/<run id>`: a Holdfast inside a Holdfast belongs to both. */
export const markerVariable = "HOLDFAST_RUN";

/** Marks guards and their helpers, which must not carry the run's marker. */
export const guardVariable = "HOLDFAST_GUARD";

export function markerOf(ownerId: string, runId: string, outer: string = process.env[markerVariable] ?? ""): string {
  return `${outer}/${ownerId}/${runId}`;
}

/** Prefix of an epoch's run ids, by which a guardian of an older epoch recognises newer runs. */
export function runIdPrefix(epoch: number): string {
  return `r${epoch}-`;
}
