/**
 * Names of servers. A config may use any; `/mcp/<name>` and the names of tools take letters, digits, `-` and `_` only, so
 * other names are served under a derived one. The config keeps the name as written.
 */
import { hash } from "node:crypto";

/** Tools are `<server>__<tool>` within 64 characters: half of them are for the server. */
const nameMax = 32;
const servable = /^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$/;
const marks = 6;
/** Characters of a name that are used to derive a servable one. */
const lookedAtMax = 256;

function isServable(name: string): boolean {
  return servable.test(name);
}

/**
 * The served name for each name: itself if valid, else `@scope/x` → `scope-x`. Long or colliding results get letters of the
 * name's hash, so the result is independent of order.
 */
export function servedNames(names: readonly string[]): Map<string, string> {
  const claims = new Map<string, number>();
  for (const name of names) claims.set(plainOf(name), (claims.get(plainOf(name)) ?? 0) + 1);
  const taken = new Set(names.filter(isServable));
  const servedAs = (name: string) => {
    const plain = plainOf(name);
    if (isServable(name) || (isServable(plain) && claims.get(plain) === 1)) return plain;
    let [served, salt] = [marked(plain, name), 0];
    while (taken.has(served)) served = marked(plain, `${name}\0${++salt}`);
    taken.add(served);
    return served;
  };
  return new Map(names.map((name) => [name, servedAs(name)]));
}

function plainOf(name: string): string {
  if (isServable(name)) return name;
  // The end of a long name is more distinctive than its beginning.
  return name
    .slice(-lookedAtMax)
    .replaceAll(/[^A-Za-z0-9_-]+/g, "-")
    .replaceAll(/^[-_]+|[-_]+$/g, "");
}

function marked(plain: string, name: string): string {
  const kept = plain.slice(-(nameMax - marks - 1)).replace(/^[-_]+/, "") || "server";
  return `${kept}-${hash("sha256", name, "hex").slice(0, marks)}`;
}
