/** `holdfast tokens`: callers and their scopes. Edits the state directory's files; a running gateway notices at once. */
import { existsSync } from "node:fs";
import { tokenScopes, type TokenScope } from "../protocol/keeper/front-config.ts";
import { systemClock } from "../clock.ts";
import { systemRandom, systemSources } from "../random.ts";
import { HoldfastError } from "../errors.ts";
import { statePaths, type StatePaths } from "../keeper/state-directory.ts";
import { addToken, findTokens, readFirstToken, revokeToken } from "../keeper/tokens/token-files.ts";
import type { CommandContext } from "./context.ts";
import { printJson, printLines, table, time } from "./print.ts";
import { makeDirectory } from "../make-directory.ts";

export interface AddOptions {
  /** Comma-separated. */
  scopes: string;
  /** `90s`, `30m`, `12h`, `30d`, or a date such as `2026-12-31` or `2026-12-31T18:00Z`; undefined = never. */
  expires?: string | undefined;
}

export async function addTokenCommand(context: CommandContext, name: string, options: AddOptions): Promise<number> {
  const now = systemClock.now();
  const scopes = parseScopes(options.scopes);
  const expiresAt = options.expires === undefined ? null : parseExpiry(options.expires, now);
  const paths = statePaths(context.state);
  makeDirectory(paths.tokens);
  const { record, token } = addToken(paths, { name, scopes, expiresAt }, systemSources);
  if (context.json) printJson({ id: record.id, name, scopes: record.scopes, expiresAt, token });
  else {
    process.stderr.write(`token ${name} (${record.scopes.join(", ")}; ${expiry(expiresAt)}); it is shown this once:\n`);
    printLines([token]);
  }
  return 0;
}

export async function listTokens(context: CommandContext): Promise<number> {
  const paths = statePaths(context.state);
  const now = systemClock.now();
  const { records, refused } = findTokens(paths);
  const tokens = [
    ...first(paths),
    ...records.map(({ id, name, scopes, createdAt, expiresAt }) => {
      return { id, name, scopes, createdAt, expiresAt, expired: expiresAt !== null && expiresAt <= now };
    }),
  ];
  if (context.json) printJson({ tokens, refused: refused.map(({ file, error }) => ({ file, error: error.message })) });
  else
    printLines([
      ...table(
        tokens.map(({ name, scopes, expiresAt, expired }) => [
          name,
          scopes.join(","),
          expired ? "expired" : expiry(expiresAt),
        ]),
      ),
      ...refused.map(({ error }) => `refused: ${error.message}`),
    ]);
  return refused.length === 0 ? 0 : 1;
}

export async function revokeTokenCommand(context: CommandContext, name: string): Promise<number> {
  revokeToken(statePaths(context.state), name);
  if (context.json) printJson({ revoked: name });
  else printLines([`${name} is revoked; a running gateway ends its connections at once`]);
  return 0;
}

/** The token made at first start, if any. */
function first(paths: StatePaths) {
  if (!existsSync(paths.token)) return [];
  const { id, name, scopes } = readFirstToken(paths, systemRandom);
  return [{ id, name, scopes, createdAt: null, expiresAt: null, expired: false }];
}

function expiry(expiresAt: number | null): string {
  return expiresAt === null ? "never expires" : `until ${time(expiresAt)}`;
}

function parseScopes(text: string): TokenScope[] {
  const words = text.split(",").map((word) => word.trim());
  for (const word of words)
    if (!tokenScopes.some((scope) => scope === word))
      throw new HoldfastError("usage", `--scopes: no scope ${JSON.stringify(word)}; known: ${tokenScopes.join(", ")}`);
  return words as TokenScope[];
}

const unitMs: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

export function parseExpiry(text: string, now: number): number {
  const [, amount, unit] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  const at = unit === undefined ? Date.parse(text) : now + Number(amount) * (unitMs[unit] ?? 0);
  if (Number.isNaN(at))
    throw new HoldfastError(
      "usage",
      `--expires: ${JSON.stringify(text)} is neither a time like 90s, 30m, 12h, 30d nor a date`,
    );
  if (at <= now) throw new HoldfastError("usage", `--expires: ${text} is over already`);
  return at;
}
