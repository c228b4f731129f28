/** A session's client is present while it waits for a response. */
import type { ServerResponse } from "node:http";
import type { Session } from "../../sessions/session.ts";

/** The session does not expire before the response is over. A closed response holds nothing: nothing would ever release it. */
export function holdUntilClosed({ lease }: Session, response: ServerResponse): void {
  if (!response.closed) response.once("close", lease.hold());
}
