/** Stored logins: a private file per server in `<state>/front/oauth/`, written by login, logout and refreshes. */
import { lstatSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { HoldfastError } from "../errors.ts";
import { readPrivateFile, writeDurable } from "../platform/self/private-file.ts";
import { makeDirectory } from "../make-directory.ts";

/** Characters allowed behind `Bearer`. */
const tokenForm = /^[!-~]+$/;

const credentialsSchema = z.strictObject({
  /** The only address that gets the tokens. */
  url: z.string(),
  /** The issuing authorization server. */
  issuer: z.string(),
  /** Its address and metadata, as found and checked by the SDK. */
  authorizationServer: z.string(),
  metadata: z.record(z.string(), z.unknown()).nullable(),
  /** RFC 8707 resource; null = the server names none. */
  resource: z.string().nullable(),
  client: z.looseObject({ client_id: z.string() }),
  accessToken: z.string().regex(tokenForm),
  refreshToken: z.string().min(1).nullable(),
  scope: z.string().nullable(),
  /** Milliseconds since 1970; null = unknown. */
  expiresAt: z.number().nullable(),
});
export type Credentials = z.output<typeof credentialsSchema>;

/** The token endpoint's answer, as far as it is stored. */
export interface IssuedTokens {
  access_token: string;
  refresh_token?: string | undefined;
  scope?: string | undefined;
  expires_in?: number | undefined;
}

/** Servers that rotate send a new refresh token; otherwise the old one stays. Throws for an unsendable token. */
export function withTokens<T extends Omit<Credentials, "accessToken" | "refreshToken" | "scope" | "expiresAt">>(
  base: T & { refreshToken?: string | null; scope?: string | null },
  { access_token, refresh_token, scope, expires_in }: IssuedTokens,
  now: number,
): T & Credentials {
  if (!tokenForm.test(access_token)) throw new Error("its authorization server issued a token that cannot be sent");
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

  /** `frontDirectory`: the front's writable one. Throws `server_unknown` for an invalid name. */
  constructor(frontDirectory: string, server: string) {
    // The name may come from a command line and must not lead elsewhere.
    if (!/^[A-Za-z0-9_-]+$/.test(server))
      throw new HoldfastError("server_unknown", `${JSON.stringify(server)} cannot be the name of a server`);
    this.#directory = join(frontDirectory, "oauth");
    this.path = join(this.#directory, `${server}.json`);
  }

  /** Undefined: not logged in. Throws `file_exposed`, or `login_required` for an invalid file. */
  read(): Credentials | undefined {
    const info = lstatSync(this.path, { throwIfNoEntry: false });
    if (info === undefined) {
      this.#read = undefined;
      return undefined;
    }
    // Each write creates a new file.
    const mark = `${info.dev} ${info.ino} ${info.mtimeMs} ${info.size} ${info.mode} ${info.uid}`;
    if (this.#read?.mark === mark) return this.#read.credentials;
    const text = readPrivateFile(this.path);
    try {
      const credentials = credentialsSchema.parse(JSON.parse(text));
      this.#read = { mark, credentials };
      return credentials;
    } catch (cause) {
      // The cause may quote secrets.
      throw new HoldfastError("login_required", `${this.path} has no readable credentials; log in again`, {
        cause: cause instanceof z.ZodError ? cause : undefined,
      });
    }
  }

  write(credentials: Credentials): void {
    makeDirectory(this.#directory);
    writeDurable(this.path, `${JSON.stringify(credentials, null, 2)}\n`);
  }

  remove(): void {
    rmSync(this.path, { force: true });
  }
}
