/** The state directory: what is in it, who may read it, and the record by which the command line finds a gateway. */
import { chmodSync, existsSync, lstatSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Random } from "../random.ts";
import { HoldfastError } from "../errors.ts";
import { say } from "./log.ts";
import { reasonOf } from "../plain-reason.ts";
import { createPrivate, readPrivateFile, writePrivate } from "../platform/self/private-file.ts";
import { makeDirectory } from "../make-directory.ts";

export interface StatePaths {
  root: string;
  token: string;
  /** Further tokens, a file each. */
  tokens: string;
  owner: string;
  ledger: string;
  keeperRecord: string;
  crashes: string;
  runs: string;
  log: string;
  bin: string;
  /** Control sockets of ssh. */
  ssh: string;
  /** What `resolveNpx` has installed. */
  packages: string;
  /** The certificate that the gateway made for itself; only if it needed one. */
  tls: string;
  /** The only directory that the front may write. */
  front: string;
}

/** `<state>/keeper.json`: how `stop` and `status` find the gateway and know that it is the same process. */
export interface KeeperRecord {
  version: string;
  pid: number;
  startTime: string;
  bootId: string;
  epoch: number;
  tier: string;
  url: string;
  urls: string[];
  /** The config that it read; null = none, the defaults. */
  config: string | null;
  /** PEM, by which clients of this machine know the gateway; null = plain HTTP. */
  certificate: string | null;
  /** Id of the node that this is; null = a gateway. */
  node: string | null;
  front: { pid: number };
  guardian: { pid: number; startTime: string };
}

const pid = z.int().min(1);
/** What must be there for a record to name a process; fields of other versions may be missing or more. */
const recordShape = z.looseObject({
  pid,
  startTime: z.string(),
  bootId: z.string(),
  epoch: z.int(),
  url: z.string(),
  urls: z.array(z.string()),
  front: z.looseObject({ pid: z.int().min(0) }),
  guardian: z.looseObject({ pid: z.int().min(0), startTime: z.string() }),
});

export function statePaths(root: string): StatePaths {
  return {
    root,
    token: join(root, "token"),
    tokens: join(root, "tokens"),
    owner: join(root, "owner"),
    ledger: join(root, "ledger.sqlite"),
    keeperRecord: join(root, "keeper.json"),
    crashes: join(root, "crashes"),
    runs: join(root, "runs"),
    log: join(root, "log"),
    bin: join(root, "bin"),
    ssh: join(root, "ssh"),
    packages: join(root, "packages"),
    tls: join(root, "tls"),
    front: join(root, "front"),
  };
}

/** Makes the directory private to its user, or says why it will not do. */
export function openStateDirectory(root: string): StatePaths {
  const paths = statePaths(root);
  try {
    const { tokens, crashes, runs, log, bin, ssh, packages, front, tls } = paths;
    assertOurs(root);
    for (const directory of [root, tokens, crashes, runs, log, bin, ssh, packages, front]) {
      makeDirectory(directory);
      assertOwnDirectory(directory);
      assertOwnLinks(directory);
    }
    if (existsSync(tls)) assertOwnDirectory(tls);
    chmodSync(root, 0o700);
    return paths;
  } catch (cause) {
    const { path } = cause as NodeJS.ErrnoException;
    const place = path === undefined || path === root ? "" : ` (${path})`;
    const message = `state directory ${root} cannot be used: ${reasonOf(cause)}${place}; choose another with --state DIR`;
    throw new HoldfastError("state_unusable", message, { cause });
  }
}

/** What may be in it before the first start: `tokens add`, `mcp login` and a config come before a gateway. */
const ownNames =
  /^(?:holdfast|tokens?|owner|ledger|keeper|crashes|runs|log|bin|ssh|packages|front|tls|node)(?:[.-].*)?$/;

/** It is made private and filled, which a directory that is something else already must not be: a home, /tmp, a checkout. */
function assertOurs(root: string): void {
  const link = lstatSync(root, { throwIfNoEntry: false });
  if (link === undefined) return;
  if (process.getuid !== undefined && link.uid !== process.getuid()) throw new Error("it belongs to another user");
  assertOwnDirectory(root);
  const info = statSync(root);
  const names = readdirSync(root);
  if (names.includes("owner")) return;
  const other = names.find((name) => !ownNames.test(name) && name !== "lost+found");
  if (other !== undefined) throw new Error(`it has something else in it (${other})`);
  if ((info.mode & 0o1000) !== 0) throw new Error("it is a directory that all users write to");
}

/**
 * A link may stand for a directory, on a larger disk for one, if it is this user's own and leads to one that is this user's
 * own and that nobody else may write. Another user's link could lead to another place at any time.
 */
function assertOwnDirectory(path: string): void {
  const uid = process.getuid?.();
  const link = lstatSync(path);
  const info = link.isSymbolicLink() ? statSync(path) : link;
  if (!info.isDirectory()) throw new Error(`${path} is not a directory`);
  if (uid === undefined) return;
  if (link.uid !== uid) throw new Error(`${path} is ${link.isSymbolicLink() ? "a link " : ""}of another user`);
  if (info.uid !== uid) throw new Error(`${path} leads to a directory of another user`);
  if (link.isSymbolicLink() && (info.mode & 0o022) !== 0)
    throw new Error(`${path} leads to a directory that others may write (chmod 700 it)`);
}

/** A file in it may be a link only if this user made it: what others lead elsewhere would be read, or written to, there. */
function assertOwnLinks(directory: string): void {
  const uid = process.getuid?.();
  if (uid === undefined) return;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (!entry.isSymbolicLink()) continue;
    const path = join(directory, entry.name);
    if (lstatSync(path).uid !== uid) throw new Error(`${path} is a link of another user`);
  }
}

/** Reads a secret of ours, or makes it at first start. What is not a plain file of this user alone is refused. */
export function readOrMakeSecret(path: string, bytes: number, random: Random): string {
  if (lstatSync(path, { throwIfNoEntry: false }) === undefined)
    createPrivate(path, `${random.bytes(bytes).toString("hex")}\n`);
  const secret = readPrivateFile(path).trim();
  if (!/^[0-9A-Za-z_-]{16,512}$/.test(secret)) {
    throw new HoldfastError(
      "state_unusable",
      `${path} does not hold a usable value; remove it and start again to get a new one`,
    );
  }
  return secret;
}

/** Throws when it is the first of this keeper; later a full disk leaves the one before, which only names an earlier front. */
export function writeKeeperRecord(paths: StatePaths, record: KeeperRecord): void {
  try {
    writePrivate(paths.keeperRecord, `${JSON.stringify(record, null, 2)}\n`);
  } catch (thrown) {
    if (readKeeperRecord(paths)?.pid !== record.pid) throw thrown;
    say(`${paths.keeperRecord} cannot be written (${String(thrown)}); it names an earlier front or guardian`);
  }
}

export function readKeeperRecord(paths: StatePaths): KeeperRecord | undefined {
  try {
    const parsed = recordShape.safeParse(JSON.parse(readFileSync(paths.keeperRecord, "utf8")));
    // Anything else in that file names no gateway, and must stop none.
    return parsed.success ? (parsed.data as unknown as KeeperRecord) : undefined;
  } catch {
    return undefined; // no gateway has run here, or it ended in order
  }
}

export function removeKeeperRecord(paths: StatePaths): void {
  rmSync(paths.keeperRecord, { force: true });
}
