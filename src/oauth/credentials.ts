/**
 * What a login at a remote server left: a file per server in `<state>/front/oauth/`, its user's alone. The commands write
 * it at login and logout, the front when it has refreshed the tokens.
 */
import { lstatSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { HoldfastError } from "../errors.ts";
import { readPrivateFile, writePrivate } from "../platform/self/private-file.ts";
import { makeDirectory } from "../make-directory.ts";

/** What can stand in a header behind `Bearer`. */
const tokenForm = /^[!-~]+$/;

const credentialsSchema = z.strictObject({
  /** The tokens are for this address and are sent to no other. */
  url: z.string(),
  /** The authorization server that issued all of this. */
  issuer: z.string(),
  /** Its address, and what it said of itself, as the SDK found and checked them. */
  authorizationServer: z.string(),
  metadata: z.record(z.string(), z.unknown()).nullable(),
  /** RFC 8707: what the tokens are asked for; null = the server names nothing. */
  resource: z.string().nullable(),
  client: z.looseObject({ client_id: z.string() }),
  accessToken: z.string().regex(tokenForm),
  refreshToken: z.string().min(1).nullable(),
  scope: z.string().nullable(),
  /** Milliseconds since the epoch; null = it does not say. */
  expiresAt: z.number().nullable(),
});
export type Credentials = z.output<typeof credentialsSchema>;

/** What a token endpoint answers, as far as it is kept. */
export interface IssuedTokens {
  access_token: string;
  refresh_token?: string | undefined;
  scope?: string | undefined;
  expires_in?: number | undefined;
}

/**
 * A server that rotates gives a new refresh token with each refresh; one that does not leaves the old one good. Throws for a
 * token that could not be sent.
 */
export function withTokens<T extends Omit<Credentials, "accessToken" | "refreshToken" | "scope" | "expiresAt">>(
  base: T & { refreshToken?: string | null; scope?: string | null },
  { access_token, refresh_token, scope, expires_in }: IssuedTokens,
  now: number,
): T & Credentials {
  if (!tokenForm.test(access_token)) throw new Error("its authorization server gave a token that cannot be sent");
  return {
    ...base,
    accessToken: access_token,
    refreshToken: refresh_token ?? base.refreshToken ?? null,
    scope: scope ?? base.scope ?? null,
    expiresAt: expires_in === undefined ? null : now + expires_in * 1000,
  };
}

export class CredentialFile {
  readonly path: string;
  readonly #directory: string;
  #read: { mark: string; credentials: Credentials } | undefined;

  /** `frontDirectory`: the one that the front may write. Throws `server_unknown` for what is no server's name. */
  constructor(frontDirectory: string, server: string) {
    // The name may come from a command line: it must lead to no other file.
    if (!/^[A-Za-z0-9_-]+$/.test(server))
      throw new HoldfastError("server_unknown", `${JSON.stringify(server)} cannot be the name of a server`);
    this.#directory = join(frontDirectory, "oauth");
    this.path = join(this.#directory, `${server}.json`);
  }

  /** Undefined: nobody has logged in. Throws `file_exposed`, or `login_required` for what is no such file. */
  read(): Credentials | undefined {
    const info = lstatSync(this.path, { throwIfNoEntry: false });
    if (info === undefined) {
      this.#read = undefined;
      return undefined;
    }
    // Each write is another file.
    const mark = `${info.dev} ${info.ino} ${info.mtimeMs} ${info.size} ${info.mode} ${info.uid}`;
    if (this.#read?.mark === mark) return this.#read.credentials;
    const text = readPrivateFile(this.path);
    try {
      const credentials = credentialsSchema.parse(JSON.parse(text));
      this.#read = { mark, credentials };
      return credentials;
    } catch (cause) {
      // The cause may quote what it could not read.
      throw new HoldfastError("login_required", `${this.path} holds no credentials that can be read; log in again`, {
        cause: cause instanceof z.ZodError ? cause : undefined,
      });
    }
  }

  write(credentials: Credentials): void {
    makeDirectory(this.#directory);
    writePrivate(this.path, `${JSON.stringify(credentials, null, 2)}\n`);
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }
}
