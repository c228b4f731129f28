/**
 * The bearer token of one remote server, refreshed before expiry or after a rejection; concurrent users share one
 * refresh.
 */
import { asHoldfastError, HoldfastError } from "../errors.ts";
import { CredentialFile, withTokens, type Credentials } from "./credentials.ts";
import { plainCode } from "./plain-code.ts";
import { boundedFetch, loadSdk } from "./sdk.ts";

/** Refreshed this long before expiry: requests take time, and clocks differ. */
const earlyMs = 30_000;

export interface BearerParts {
  server: string;
  url: string;
  /** The front's writable directory. */
  frontDirectory: string;
  now: () => number;
}

export class Bearer {
  readonly #parts: BearerParts;
  readonly #file: CredentialFile;
  #refreshing: Promise<string> | undefined;
  #problem: { words: string; with: string | undefined } | undefined;

  constructor(parts: BearerParts) {
    this.#parts = parts;
    this.#file = new CredentialFile(parts.frontDirectory, parts.server);
  }

  /** Why the server needs a login, and the command; undefined = none known. */
  get problem(): string | undefined {
    // Until a request is tried with the new token.
    return this.#problem?.with === this.#accessToken() ? this.#problem?.words : undefined;
  }

  /** The token if it needs no refresh. Null: not logged in, send none. */
  get atHand(): string | null | undefined {
    if (this.#refreshing !== undefined) return undefined;
    try {
      const credentials = this.#credentials();
      if (credentials === undefined) return null;
      return this.#isFresh(credentials) ? credentials.accessToken : undefined;
    } catch {
      return undefined; // token() reports it
    }
  }

  /**
   * A valid token. `refused`: one that the server rejected. Null: not logged in. Throws `login_required` when a login
   * is needed, `server_down` when the authorization server does not answer.
   */
  async token(refused?: string): Promise<string | null> {
    let credentials: Credentials | undefined;
    try {
      credentials = this.#credentials();
    } catch (thrown) {
      throw this.#lost(asHoldfastError(thrown).message);
    }
    if (credentials === undefined) return null;
    // Refreshed or logged in since that request.
    if (refused !== undefined && credentials.accessToken !== refused && this.#isFresh(credentials))
      return credentials.accessToken;
    if (refused === undefined && this.#refreshing === undefined && this.#isFresh(credentials))
      return credentials.accessToken;
    this.#refreshing ??= this.#refresh(credentials).finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** The server requires a login. Returns the message for the caller. */
  wanted(): string {
    const had = this.#accessToken() !== undefined;
    return this.#lost(had ? "rejects our token and requires a login" : "requires a login").message;
  }

  /** A request was accepted. */
  taken(): void {
    this.#problem = undefined;
  }

  async #refresh(credentials: Credentials): Promise<string> {
    const { refreshToken, accessToken, metadata, resource, client, authorizationServer, expiresAt } = credentials;
    if (refreshToken === null) {
      throw this.#lost("rejects our token, and there is no refresh token");
    }
    const sdk = await loadSdk();
    try {
      const issued = await sdk.refreshAuthorization(authorizationServer, {
        ...(metadata === null ? {} : { metadata: metadata as never }),
        clientInformation: client,
        refreshToken,
        ...(resource === null ? {} : { resource }),
        fetchFn: boundedFetch,
      });
      const renewed = withTokens(credentials, issued, this.#parts.now());
      // A concurrent login wins.
      if (this.#credentials()?.refreshToken === refreshToken) this.#file.write(renewed);
      this.taken();
      return renewed.accessToken;
    } catch (thrown) {
      const current = this.#credentials();
      if (current !== undefined && current.refreshToken !== refreshToken && this.#isFresh(current))
        return current.accessToken;
      const passing: string = sdk.OAuthErrorCode.ServerError;
      if (sdk.OAuthError.isInstance(thrown) && thrown.code !== passing)
        throw this.#lost(`its authorization server refused to refresh our token (${plainCode(thrown.code)})`, thrown);
      // Not yet expired: requests may still succeed.
      if (expiresAt !== null && expiresAt > this.#parts.now()) return accessToken;
      const message = `the token has expired, and the authorization server at ${new URL(authorizationServer).origin} does not answer`;
      throw new HoldfastError("server_down", message, { cause: thrown });
    }
  }

  #credentials(): Credentials | undefined {
    const credentials = this.#file.read();
    // The configured address changed; the tokens must not go there.
    return credentials?.url === this.#parts.url ? credentials : undefined;
  }

  #isFresh({ expiresAt }: Credentials): boolean {
    return expiresAt === null || expiresAt - earlyMs > this.#parts.now();
  }

  #accessToken(): string | undefined {
    try {
      return this.#credentials()?.accessToken;
    } catch {
      return undefined; // token() says why
    }
  }

  #lost(why: string, cause?: unknown): HoldfastError {
    const words = `${why}; type \`holdfast mcp login ${this.#parts.server}\``;
    this.#problem = { words, with: this.#accessToken() };
    return new HoldfastError("login_required", words, { cause });
  }
}
