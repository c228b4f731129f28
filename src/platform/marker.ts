/** The marks by which a process of ours is recognised when every other record of it is lost. */

/** `HOLDFAST_RUN=<outer marker>/<owner id>/<run id>`: a Holdfast inside a Holdfast belongs to both. */
export const markerVariable = "HOLDFAST_RUN";

/** Marks guards and their helpers, which must not carry the run's marker. */
export const guardVariable = "HOLDFAST_GUARD";

export function markerOf(ownerId: string, runId: string, outer: string = process.env[markerVariable] ?? ""): string {
  return `${outer}/${ownerId}/${runId}`;
}

/** With what an epoch's run ids begin, so that a guardian of an older epoch can tell a newer one's runs from its own. */
export function runIdPrefix(epoch: number): string {
  return `r${epoch}-`;
}
