/** Whose a session is, or a run: the one check that everything which names either goes through. */
import type { TokenScope } from "../protocol/keeper/messages.ts";

/** Who asks: the holder of a token, as the keeper's record of that token has it. */
export interface Asker {
  /** The token's own id: a token that is made later under the same name has another one. */
  readonly id: string;
  readonly scopes: ReadonlySet<TokenScope>;
}

/** So much of an id tells one from another where it is shown to others; it opens nothing. */
const shownCharacters = 8;

/** `owner`: id of the token that the session or run belongs to; null or undefined: of none, so that only `admin` may act. */
export function mayAct({ id, scopes }: Asker, owner: string | null | undefined): boolean {
  return scopes.has("admin") || (typeof owner === "string" && owner === id);
}

/** A session's id for those who may not act on the session. */
export function shortId(sessionId: string): string {
  return `${sessionId.slice(0, shownCharacters)}…`;
}
