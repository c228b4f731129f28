/** Detects that a remote server has forgotten our session: by 404 as in the protocol, by 410, or by its error text. */
import type { Envelope } from "../wire/envelope.ts";
import type { RemoteSession } from "./remote-session.ts";

/** Statuses of published servers for an unknown session id. */
const statuses = new Set([400, 404, 410]);
/** Longer answers never match. */
const wordsBytesMax = 1024;

/** Texts of the SDKs: "Bad Request: No valid session ID provided", "Session not found", "Server not initialized". */
const saysSo =
  /\bsession(?:[ -]?id)?\b[^"]{0,40}\b(?:not found|invalid|unknown|expired|missing|required|terminated|closed|does not exist)|\b(?:no valid|no such|invalid|unknown|expired|missing|unrecognized)\b[^"]{0,40}\bsession|\bnot initialized\b/i;
/** Must be the whole text of an error answer: tools may have sessions of their own, with longer messages. */
const saysSoAlone =
  /^(?:bad request: ?)?(?:(?:mcp )?session (?:id )?(?:not found|has expired|expired|terminated|is invalid|does not exist)|(?:no valid|invalid|unknown|missing) (?:mcp )?session(?: ?id)?(?: provided)?|server not initialized)\.?$/i;

/** Whether a refusal concerns our session. A known version shows that a session without an id had begun. */
export function refusesSession({ id, version }: RemoteSession, status: number | undefined, words: string): boolean {
  if ((status === 404 || status === 410) && id !== undefined) return true;
  return (id ?? version) !== undefined && statuses.has(status ?? 0) && saysSo.test(words);
}

/** The error text of an answer that refuses the session; undefined: an ordinary answer. */
export function sessionError(envelope: Envelope, line: Buffer): string | undefined {
  if (!envelope.hasError || line.length > wordsBytesMax) return undefined;
  const { error } = JSON.parse(line.toString("utf8")) as { error?: { message?: unknown } | null };
  const message = error?.message;
  return typeof message === "string" && saysSoAlone.test(message) ? message : undefined;
}
