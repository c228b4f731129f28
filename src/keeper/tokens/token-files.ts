/**
 * The tokens of a state directory: `<state>/token`, made at first start, and one file per further token under
 * `<state>/tokens/`, which holds a digest, never the token. Separate files, so that concurrent commands cannot overwrite each
 * other's changes.
 */
import { createHash } from "node:crypto";
import { lstatSync, readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { tokenScopes, type TokenGrant, type TokenScope } from "../../protocol/keeper/front-config.ts";
import type { Random, Sources } from "../../random.ts";
import { othersAccess, privateRemedy } from "../../platform/access.ts";
import { spareDescriptors } from "../../platform/self/index.ts";
import { HoldfastError } from "../../errors.ts";
import { createPrivate, readPrivateFile } from "../../platform/self/private-file.ts";
import { readOrMakeSecret, type StatePaths } from "../state-directory.ts";

/** Name and id of the token made at first start. */
const firstToken = "first";
/** All tokens are compared, so more would slow the first request of each connection. */
const tokensMax = 1000;
const secretBytes = 32;
/** Identifies our tokens to leak scanners. */
const secretPrefix = "hft_";

const namePattern = /^[a-z0-9][a-z0-9-]{0,31}$/;

const fileShape = z.strictObject({
  id: z.string().regex(/^[0-9a-f]{16}$/),
  name: z.string().regex(namePattern),
  /** SHA-256, hex. A slow hash would add nothing: the token is 256 random bits, which cannot be guessed at any speed. */
  digest: z.string().regex(/^[0-9a-f]{64}$/),
  scopes: z.array(z.enum(tokenScopes)).min(1),
  createdAt: z.number(),
  expiresAt: z.number().nullable(),
});
export type TokenRecord = z.output<typeof fileShape>;

/** Contents of `<state>/tokens/`: valid records, and refused files with reason and remedy. */
export interface FoundTokens {
  records: TokenRecord[];
  refused: { file: string; error: HoldfastError }[];
}

function digestOf(token: string): string {
  return createHash("sha256").update(token).digest("hex");
}

/** The first token as a grant with every scope and no expiry. Makes a missing file; throws when others can access it. */
export function readFirstToken(paths: StatePaths, random: Random): TokenGrant {
  const digest = digestOf(readOrMakeSecret(paths.token, secretBytes, random));
  return { id: firstToken, name: firstToken, digest, scopes: ["admin"], expiresAt: null };
}

/** Makes a token and returns it, visible only this once. Throws `usage` for a name in use or not allowed. */
export function addToken(
  paths: StatePaths,
  wanted: { name: string; scopes: TokenScope[]; expiresAt: number | null },
  { clock, random }: Sources,
): { record: TokenRecord; token: string } {
  const { name, scopes, expiresAt } = wanted;
  if (!namePattern.test(name) || name === firstToken)
    throw new HoldfastError(
      "usage",
      `${JSON.stringify(name)} cannot be a token's name: use small letters, digits and -, at most 32, and not "${firstToken}"`,
    );
  if (namesIn(paths).length >= tokensMax)
    throw new HoldfastError("usage", `there are ${tokensMax} tokens, which is the most; revoke one first`);
  const token = secretPrefix + random.bytes(secretBytes).toString("base64url");
  const id = random.bytes(8).toString("hex");
  const record = { id, name, digest: digestOf(token), scopes: [...new Set(scopes)], createdAt: clock.now(), expiresAt };
  if (!createPrivate(fileOf(paths, name), `${JSON.stringify(record, null, 2)}\n`))
    throw new HoldfastError("usage", `there is a token named ${name}; revoke it first, or choose another name`);
  return { record, token };
}

/** Throws `token_unknown` for an unknown name. Also removes a file that is refused as a token. */
export function revokeToken(paths: StatePaths, name: string): void {
  if (name === firstToken)
    throw new HoldfastError(
      "usage",
      `the first token is the one of ${paths.token}: to replace it, stop the gateway, remove that file, and start again`,
    );
  if (!namesIn(paths).includes(name))
    throw new HoldfastError(
      "token_unknown",
      `no token named ${JSON.stringify(name)}; \`holdfast tokens list\` shows them`,
    );
  rmSync(fileOf(paths, name), { force: true });
}

export function findTokens(paths: StatePaths): FoundTokens {
  const found: FoundTokens = { records: [], refused: [] };
  for (const name of namesIn(paths)) {
    const file = fileOf(paths, name);
    try {
      found.records.push(readRecord(file, name));
    } catch (thrown) {
      // Revoked between the listing and the read: treat as unlisted.
      if ((thrown as NodeJS.ErrnoException).code === "ENOENT") continue;
      found.refused.push({ file, error: thrown instanceof HoldfastError ? thrown : unusable(file, thrown) });
    }
  }
  return found;
}

function readRecord(file: string, name: string): TokenRecord {
  // Too many open files in the keeper must not look like a revoked token.
  const text = spareDescriptors.look(() => readPrivateFile(file));
  let record: TokenRecord;
  try {
    record = fileShape.parse(JSON.parse(text));
  } catch (cause) {
    throw unusable(file, cause);
  }
  if (record.name !== name) throw unusable(file, undefined);
  return record;
}

function unusable(file: string, cause: unknown): HoldfastError {
  const message = `${file} is not a token of Holdfast; revoke it with \`holdfast tokens revoke\`, or remove the file`;
  return new HoldfastError("state_unusable", message, { cause });
}

function fileOf(paths: StatePaths, name: string): string {
  return join(paths.tokens, `${name}.json`);
}

function namesIn(paths: StatePaths): string[] {
  let info;
  try {
    info = lstatSync(paths.tokens);
  } catch {
    return []; // no gateway has run here yet
  }
  const isOurs = info.isDirectory() && (process.getuid === undefined || info.uid === process.getuid());
  if (!isOurs || othersAccess(paths.tokens, info, { group: true }) === "write") {
    const remedy = `${privateRemedy(paths.tokens, 700)}, or remove it and add the tokens again`;
    throw new HoldfastError("file_exposed", `${paths.tokens} is not a directory of this user alone (${remedy})`);
  }
  return spareDescriptors
    .look(() => readdirSync(paths.tokens))
    .filter((file) => file.endsWith(".json"))
    .map((file) => file.slice(0, -".json".length))
    .toSorted();
}
