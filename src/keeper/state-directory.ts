/** The state directory: its files, their permissions, and the record by which the command line finds a gateway. */
import { existsSync, lstatSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Random } from "../random.ts";
import { HoldfastError } from "../errors.ts";
import { say } from "./log.ts";
import { reasonOf } from "../plain-reason.ts";
import { keepPrivate } from "../platform/access.ts";
import { createPrivate, readPrivateFile, writePrivate } from "../platform/self/private-file.ts";
import { makeDirectory } from "../make-directory.ts";

export interface StatePaths {
  root: string;
  token: string;
  /** Further tokens, one file each. */
  tokens: string;
  owner: string;
  ledger: string;
  /** The number of the newest epoch. */
  epoch: string;
  keeperRecord: string;
  crashes: string;
  runs: string;
  log: string;
  bin: string;
  /** Control sockets of ssh. */
  ssh: string;
  /** Packages installed for `resolveNpx`. */
  packages: string;
  /** The gateway's self-made certificate; only if it needed one. */
  tls: string;
  /** The only directory that the front may write to. */
  front: string;
}

/** `<state>/keeper.json`: how `stop` and `status` find the gateway and verify that it is the same process. */
export interface KeeperRecord {
  version: string;
  pid: number;
  startTime: string;
  bootId: string;
  epoch: number;
  tier: string;
  url: string;
  urls: string[];
  /** Its config file; null = defaults without a file. */
  config: string | null;
  /** PEM, by which local clients verify the gateway; null = plain HTTP. */
  certificate: string | null;
  /** Id of this node; null = a gateway. */
  node: string | null;
  front: { pid: number };
  guardian: { pid: number; startTime: string };
}

const pid = z.int().min(1);
/** Fields required to identify a process; other versions may omit or add others. */
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
    epoch: join(root, "epoch"),
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

/** Makes the directory private to its user. Throws when it is unsuitable. */
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
    keepPrivate(root);
    return paths;
  } catch (cause) {
    const { path } = cause as NodeJS.ErrnoException;
    const place = path === undefined || path === root ? "" : ` (${path})`;
    const message = `state directory ${root} cannot be used: ${reasonOf(cause)}${place}; choose another with --state DIR`;
    throw new HoldfastError("state_unusable", message, { cause });
  }
}

/** Allowed contents before the first start: `tokens add`, `mcp login` and a config may precede the gateway. */
const ownNames =
  /^(?:holdfast|tokens?|owner|ledger|epoch|keeper|crashes|runs|log|bin|ssh|packages|front|tls|node)(?:[.-].*)?$/;

/** The directory becomes private and gets files, which must not happen to existing ones: a home, /tmp, a checkout. */
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
 * The directory may be a link, for example to a larger disk, if this user owns the link and its target and only this user can
 * write to the target. Another user's link could be redirected at any time.
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

/** A file may be a link only if this user made it: another user's link would redirect reads and writes. */
function assertOwnLinks(directory: string): void {
  const uid = process.getuid?.();
  if (uid === undefined) return;
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (!entry.isSymbolicLink()) continue;
    const path = join(directory, entry.name);
    if (lstatSync(path).uid !== uid) throw new Error(`${path} is a link of another user`);
  }
}

/** Reads a secret of ours, or makes it at first start. Only a plain file private to this user is accepted. */
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

/** Throws for this keeper's first record; later a full disk keeps the previous one, which only names an earlier front. */
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
    // Any other content names no gateway, and must not stop one.
    return parsed.success ? (parsed.data as unknown as KeeperRecord) : undefined;
  } catch {
    return undefined; // no gateway has run here, or it ended in order
  }
}

export function removeKeeperRecord(paths: StatePaths): void {
  rmSync(paths.keeperRecord, { force: true });
}
