/**
 * Installed packages in `<state>/packages/`: a directory per installation and a record that makes it valid. Directories without
 * a record are incomplete or replaced, and are removed at the gateway's next start.
 */
import { hash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import type { Sources } from "../../random.ts";
import { HoldfastError } from "../../errors.ts";
import { readPrivateFile, writePrivate } from "../../platform/self/private-file.ts";
import { nameOf, type NpxRequest } from "./npx-words.ts";
import { replaceByRename } from "../../rename.ts";

const recordSchema = z.strictObject({
  packages: z.array(z.string()).min(1),
  /** Relative to the store. */
  directory: z.string().regex(/^[0-9a-f]{16}-[0-9a-f]{8}$/),
  /** Installed version of each name. */
  versions: z.record(z.string(), z.string()),
  /** Milliseconds since the epoch. */
  installedAt: z.int(),
  /** The next start reinstalls it, and uses it if that fails. */
  isStale: z.boolean(),
});
export type PackageRecord = z.output<typeof recordSchema>;

export class PackageStore {
  readonly #root: string;
  readonly #sources: Sources;
  #isSwept = false;

  constructor(root: string, sources: Sources) {
    this.#root = root;
    this.#sources = sources;
  }

  /** Equal for two servers that may share files. */
  static keyOf({ packages, options }: NpxRequest, npm: string, env: Record<string, string>): string {
    const settings = Object.entries(env).toSorted(([a], [b]) => (a < b ? -1 : 1));
    return hash("sha256", JSON.stringify([packages.toSorted(), options, npm, settings]), "hex").slice(0, 16);
  }

  directoryOf({ directory }: PackageRecord): string {
    return join(this.#root, directory);
  }

  /** Undefined when there is none, or none that can be trusted. */
  find(key: string): PackageRecord | undefined {
    try {
      const record = this.#read(key);
      return record !== undefined && existsSync(this.directoryOf(record)) ? record : undefined;
    } catch {
      return undefined; // unreadable for now: install another copy
    }
  }

  /** Undefined when missing or invalid. Throws when the system denies reading it. */
  #read(key: string): PackageRecord | undefined {
    let text: string;
    try {
      text = readPrivateFile(this.#fileOf(key));
    } catch (thrown) {
      if ((thrown as NodeJS.ErrnoException).code === "ENOENT" || thrown instanceof HoldfastError) return undefined;
      throw thrown;
    }
    try {
      return recordSchema.parse(JSON.parse(text));
    } catch {
      return undefined; // reinstalling writes a valid one
    }
  }

  /** Creates an empty directory to install into. */
  begin(): string {
    const directory = join(this.#root, `tmp-${this.#sources.random.bytes(4).toString("hex")}`);
    mkdirSync(directory, { mode: 0o700 });
    writeFileSync(join(directory, "package.json"), '{ "private": true }\n');
    return directory;
  }

  /** Makes the installation valid. Throws when part of it is missing. */
  commit(key: string, directory: string, packages: string[]): PackageRecord {
    const versions = Object.fromEntries(packages.map(nameOf).map((name) => [name, versionOf(directory, name)]));
    const name = `${key}-${this.#sources.random.bytes(4).toString("hex")}`;
    const record = { packages, directory: name, versions, installedAt: this.#sources.clock.now(), isStale: false };
    replaceByRename(directory, join(this.#root, name));
    writePrivate(this.#fileOf(key), `${JSON.stringify(record, null, 2)}\n`);
    return record;
  }

  discard(directory: string): void {
    rmSync(directory, { recursive: true, force: true });
  }

  /** Marks the packages for reinstallation. Returns their names; empty if none are installed. */
  markStale(key: string): string[] {
    const record = this.find(key);
    if (record === undefined) return [];
    writePrivate(this.#fileOf(key), `${JSON.stringify({ ...record, isStale: true }, null, 2)}\n`);
    return record.packages;
  }

  /**
   * For the keeper, before it starts anything: removes directories without a record. Effective once; if a record was
   * unreadable, nothing is removed and the next call tries again.
   */
  sweep(): void {
    if (this.#isSwept) return;
    const names = readdirSync(this.#root);
    const keys = names.filter((name) => /^[0-9a-f]{16}\.json$/.test(name)).map((name) => name.slice(0, 16));
    let kept: Set<string | undefined>;
    try {
      kept = new Set(keys.map((key) => this.#read(key)?.directory));
    } catch {
      return; // what an unreadable record names must stay
    }
    this.#isSwept = true;
    for (const entry of readdirSync(this.#root, { withFileTypes: true }))
      if (entry.isDirectory() && !kept.has(entry.name)) this.discard(join(this.#root, entry.name));
  }

  #fileOf(key: string): string {
    return join(this.#root, `${key}.json`);
  }
}

function versionOf(directory: string, name: string): string {
  const text = readFileSync(join(directory, "node_modules", name, "package.json"), "utf8");
  const { version } = JSON.parse(text) as { version?: string };
  return version ?? "";
}
