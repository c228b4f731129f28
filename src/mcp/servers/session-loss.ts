/** How a remote server says that it has forgotten our session: by 404 as the protocol has it, by 410, or in words of its own. */
import type { Envelope } from "../wire/envelope.ts";
import type { RemoteSession } from "./remote-session.ts";

/** Statuses with which published servers refuse an id that they do not know. */
const statuses = new Set([400, 404, 410]);
/** Longer answers are none of these. */
const wordsBytesMax = 1024;

/** The words of the SDKs: "Bad Request: No valid session ID provided", "Session not found", "Server not initialized". */
const saysSo =
  /\bsession(?:[ -]?id)?\b[^"]{0,40}\b(?:not found|invalid|unknown|expired|missing|required|terminated|closed|does not exist)|\b(?:no valid|no such|invalid|unknown|expired|missing|unrecognized)\b[^"]{0,40}\bsession|\bnot initialized\b/i;
/** As the whole of an error that came as an answer: a tool may have sessions of its own, and says more of them. */
const saysSoAlone =
  /^(?:bad request: ?)?(?:(?:mcp )?session (?:id )?(?:not found|has expired|expired|terminated|is invalid|does not exist)|(?:no valid|invalid|unknown|missing) (?:mcp )?session(?: ?id)?(?: provided)?|server not initialized)\.?$/i;

/** Whether a refusal with this status and these words is about our session. One without an id shows by its version that it had begun. */
export function refusesSession({ id, version }: RemoteSession, status: number | undefined, words: string): boolean {
  if ((status === 404 || status === 410) && id !== undefined) return true;
  return (id ?? version) !== undefined && statuses.has(status ?? 0) && saysSo.test(words);
}

/** Why an answer is a refusal of the session, in the server's words; undefined: it is an answer. */
export function sessionError(envelope: Envelope, line: Buffer): string | undefined {
  if (!envelope.hasError || line.length > wordsBytesMax) return undefined;
  const { error } = JSON.parse(line.toString("utf8")) as { error?: { message?: unknown } | null };
  const message = error?.message;
  return typeof message === "string" && saysSoAlone.test(message) ? message : undefined;
}
