/** Reads who may do what with a file from its security descriptor, as Windows writes one as text (SDDL). */
import type { Access } from "../types.ts";

/** Rights of a file that let its contents be read or changed, or that give such a right: [MS-DTYP] 2.4.3. */
const readBits = 0x8000_0000 | 0x1000_0000 | 0x0200_0000 | 0x1;
const writeBits = 0x4000_0000 | 0x1000_0000 | 0x0200_0000 | 0xd_0000 | 0x156;

/** Names of rights in the text form: generic, file, standard, and single bits of a file. */
const rightNames: ReadonlyMap<string, number> = new Map([
  ...([
    ["GA", 0x1000_0000],
    ["GR", 0x8000_0000],
    ["GW", 0x4000_0000],
    ["GX", 0x2000_0000],
  ] as const),
  ...([
    ["FA", 0x1f_01ff],
    ["FR", 0x12_0089],
    ["FW", 0x12_0116],
    ["FX", 0x12_00a0],
  ] as const),
  ...([
    ["RC", 0x2_0000],
    ["SD", 0x1_0000],
    ["WD", 0x4_0000],
    ["WO", 0x8_0000],
  ] as const),
  ...([
    ["CC", 0x1],
    ["DC", 0x2],
    ["LC", 0x4],
    ["SW", 0x8],
    ["RP", 0x10],
    ["WP", 0x20],
  ] as const),
  ...([
    ["DT", 0x40],
    ["LO", 0x80],
    ["CR", 0x100],
  ] as const),
]);

/** The system and its administrators, who can read everything anyway; a file's creator and owner, who is judged as owner. */
const trusted = new Set(["SY", "S-1-5-18", "BA", "S-1-5-32-544", "CO", "S-1-3-0", "OW", "S-1-3-4"]);

/** Ends the id of the machine's first administrator, whom the text form calls LA. */
const firstAdministrator = /-500$/;

function isTrusted(who: string, user: string): boolean {
  return who === user || trusted.has(who) || (who === "LA" && firstAdministrator.test(user));
}

function bitsOf(rights: string): number {
  if (/^(?:0x[0-9a-f]+|\d+)$/i.test(rights)) return Number(rights);
  const names = rights.match(/../g) ?? [];
  // An unknown right counts as all of them.
  return names.reduce((bits, name) => bits | (rightNames.get(name) ?? 0x1000_0000), 0);
}

function accessOf(bits: number): Access {
  if ((bits & writeBits) !== 0) return "write";
  return (bits & readBits) === 0 ? "none" : "read";
}

/** The entries of a list, which may have conditions with parentheses and texts of their own; undefined when one is cut. */
function entriesOf(text: string): string[] | undefined {
  const entries: string[] = [];
  let depth = 0;
  let from = 0;
  let isText = false;
  for (let at = 0; at < text.length; at += 1) {
    const char = text.charAt(at);
    if (char === '"') isText = !isText;
    else if (isText) continue;
    else if (char === "(" && depth++ === 0) from = at + 1;
    else if (char === ")" && --depth === 0) entries.push(text.slice(from, at));
    // What is audited follows, and grants nothing.
    else if (depth === 0 && char === "S") return entries;
  }
  return depth === 0 && !isText ? entries : undefined;
}

/** What one entry, `type;flags;rights;object;inherited object;who`, lets others do. */
function grantOf(entry: string, user: string): Access {
  const [kind = "", , rights = "", , , who = ""] = entry.split(";");
  if (/^(?:D|OD|XD)$/.test(kind) || isTrusted(who, user)) return "none";
  return accessOf(bitsOf(rights));
}

/**
 * The most that a user other than `user` (an id, `S-1-5-…`) may do, from owner and list of `descriptor`. Entries that deny are
 * ignored, and what cannot be read counts as writable: the answer may be too severe, never too mild.
 */
export function othersAccessIn(descriptor: string, user: string): Access {
  const found = /^O:(S-[\d-]+|[A-Z]{2})(?:G:(?:S-[\d-]+|[A-Z]{2}))?D:([A-RT-Z_]*)((?:\(|S:|$).*)$/s.exec(descriptor);
  // Without a list everyone may do everything; with an empty one, only the owner may do something about it.
  if (found === null) return "write";
  const [, owner = "", flags = "", entries = ""] = found;
  if (!isTrusted(owner, user) || flags.includes("NO_ACCESS_CONTROL")) return "write";
  const grants = entriesOf(entries)?.map((entry) => grantOf(entry, user));
  if (grants === undefined || grants.includes("write")) return "write";
  return grants.includes("read") ? "read" : "none";
}
