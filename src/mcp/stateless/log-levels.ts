/** Log levels; a stateless client sets one per request. */

const levels = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

export function isLevel(value: unknown): value is string {
  return typeof value === "string" && levels.includes(value);
}

/** Whether a `notifications/message` passes the level `wanted`; undefined: the client wants none. */
export function passesLevel(line: Buffer, wanted: string | undefined): boolean {
  if (wanted === undefined) return false;
  const { params } = JSON.parse(line.toString("utf8")) as { params?: { level?: unknown } | null };
  return rankOf(params?.level) >= rankOf(wanted);
}

/** The more verbose of the two. */
export function lower(one: unknown, other: string): string {
  return typeof one === "string" && rankOf(one) <= rankOf(other) ? one : other;
}

/** Unknown levels count as the least important. */
function rankOf(level: unknown): number {
  return levels.indexOf(String(level));
}
