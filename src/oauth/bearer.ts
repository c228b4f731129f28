/**
 * The right to speak to one remote server, for as long as it lasts: the token that goes with each request, made new before
 * it expires or when the server does not take it any more. Whatever needs it at once waits for the same refresh.
 */
import { asHoldfastError, HoldfastError } from "../errors.ts";
import { CredentialFile, withTokens, type Credentials } from "./credentials.ts";
import { plainCode } from "./plain-code.ts";
import { boundedFetch, loadSdk } from "./sdk.ts";

/** A token is made new so long before its end: a request takes time, and clocks differ. */
const earlyMs = 30_000;

export interface BearerParts {
  server: string;
  url: string;
  /** The directory that the front may write. */
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

  /** Why the server is not to be had without a person, and what to type; undefined = as far as is known it is. */
  get problem(): string | undefined {
    // Until a request was tried with what came since.
    return this.#problem?.with === this.#accessToken() ? this.#problem?.words : undefined;
  }

  /** The token, if there is one that need not be made new first. Null: nobody has logged in, none is to be sent. */
  get atHand(): string | null | undefined {
    if (this.#refreshing !== undefined) return undefined;
    try {
      const credentials = this.#credentials();
      if (credentials === undefined) return null;
      return this.#isFresh(credentials) ? credentials.accessToken : undefined;
    } catch {
      return undefined; // token() says why
    }
  }

  /**
   * A token that is good for a while. `refused`: one that the server did not take. Null: nobody has logged in. Throws
   * `login_required` when only a person can get one, `server_down` when the authorization server does not answer.
   */
  async token(refused?: string): Promise<string | null> {
    let credentials: Credentials | undefined;
    try {
      credentials = this.#credentials();
    } catch (thrown) {
      throw this.#lost(asHoldfastError(thrown).message);
    }
    if (credentials === undefined) return null;
    // Somebody made it new, or logged in, since that request was sent.
    if (refused !== undefined && credentials.accessToken !== refused && this.#isFresh(credentials))
      return credentials.accessToken;
    if (refused === undefined && this.#refreshing === undefined && this.#isFresh(credentials))
      return credentials.accessToken;
    this.#refreshing ??= this.#refresh(credentials).finally(() => {
      this.#refreshing = undefined;
    });
    return this.#refreshing;
  }

  /** The server wants a login, whatever we sent. Returns the words for whoever asked. */
  wanted(): string {
    const had = this.#accessToken() !== undefined;
    return this.#lost(had ? "no longer takes our token, and wants a login" : "wants a login").message;
  }

  /** The server took a request. */
  taken(): void {
    this.#problem = undefined;
  }

  async #refresh(credentials: Credentials): Promise<string> {
    const { refreshToken, accessToken, metadata, resource, client, authorizationServer, expiresAt } = credentials;
    if (refreshToken === null) {
      throw this.#lost("no longer takes our token, and there is none to renew it with");
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
      // A login that came meanwhile has the word.
      if (this.#credentials()?.refreshToken === refreshToken) this.#file.write(renewed);
      this.taken();
      return renewed.accessToken;
    } catch (thrown) {
      const current = this.#credentials();
      if (current !== undefined && current.refreshToken !== refreshToken && this.#isFresh(current))
        return current.accessToken;
      const passing: string = sdk.OAuthErrorCode.ServerError;
      if (sdk.OAuthError.isInstance(thrown) && thrown.code !== passing)
        throw this.#lost(`its authorization server does not renew our token (${plainCode(thrown.code)})`, thrown);
      // Not yet expired: a request with it may still be taken.
      if (expiresAt !== null && expiresAt > this.#parts.now()) return accessToken;
      const message = `the token has expired, and the authorization server at ${new URL(authorizationServer).origin} does not answer`;
      throw new HoldfastError("server_down", message, { cause: thrown });
    }
  }

  #credentials(): Credentials | undefined {
    const credentials = this.#file.read();
    // The config has another address now, to which the tokens must not go.
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
