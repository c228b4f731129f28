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

/** The run of this owner that these `NAME=value` entries are marked with. */
export function markedRun(entries: readonly string[], ownerId: string): string | undefined {
  const marker = entries.find((entry) => entry.startsWith(`${markerVariable}=`)) ?? "";
  const needle = `/${ownerId}/`;
  const at = marker.indexOf(needle);
  if (at === -1) return undefined;
  const [runId = ""] = marker.slice(at + needle.length).split("/");
  return runId;
}
