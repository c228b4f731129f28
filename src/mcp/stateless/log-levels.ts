/** Levels of log messages, by which a stateless client says with each request how much it wants to hear. */

const levels = ["debug", "info", "notice", "warning", "error", "critical", "alert", "emergency"];

export function isLevel(value: unknown): value is string {
  return typeof value === "string" && levels.includes(value);
}

/** Whether a `notifications/message` is for a client that asked for `wanted`; undefined: it asked for none. */
export function passesLevel(line: Buffer, wanted: string | undefined): boolean {
  if (wanted === undefined) return false;
  const { params } = JSON.parse(line.toString("utf8")) as { params?: { level?: unknown } | null };
  return rankOf(params?.level) >= rankOf(wanted);
}

/** The one of the two that lets more through. */
export function lower(one: unknown, other: string): string {
  return typeof one === "string" && rankOf(one) <= rankOf(other) ? one : other;
}

/** What nobody knows counts as the least important. */
function rankOf(level: unknown): number {
  return levels.indexOf(String(level));
}
