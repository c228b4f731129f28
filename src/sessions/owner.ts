/** The ownership check for sessions and runs, through which every access by id passes. */
import type { TokenScope } from "../protocol/keeper/front-config.ts";

/** The asking token, from the keeper's record. */
export interface Asker {
  /** The token's own id; a later token of the same name has another. */
  readonly id: string;
  readonly scopes: ReadonlySet<TokenScope>;
}

/** Characters of a truncated id: enough to tell sessions apart, useless for access. */
const shownCharacters = 8;

/** `owner`: token id of the session or run; null or undefined: only `admin` may act. */
export function mayAct({ id, scopes }: Asker, owner: string | null | undefined): boolean {
  return scopes.has("admin") || (typeof owner === "string" && owner === id);
}

/** A session's id as shown to others. */
export function shortId(sessionId: string): string {
  return `${sessionId.slice(0, shownCharacters)}…`;
}
