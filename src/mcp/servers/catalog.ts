/**
 * Server metadata known without a start: the answer to `initialize`, and the lists. Kept in memory and in
 * `<state>/front/catalog/`, so that a list needs no start, even after a restart of the gateway.
 */
import { readdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { Log } from "../../log.ts";
import type { InitializeResult, Lists } from "./handshake.ts";
import { isObject } from "../wire/json-rpc.ts";
import { makeDirectory } from "../../make-directory.ts";
import { replaceByRename } from "../../rename.ts";

/** Files in the directory; the least recently written go first. */
const filesMax = 256;
/** Entries in memory. */
const entriesMax = 1024;
/** Larger metadata is kept in memory only. */
const fileBytesMax = 4 * 1024 * 1024;
/** Raised when the file format changes; other formats are ignored. */
const format = 1;

export interface ServerMetadata {
  /** Unique within its catalog: equal only for the same metadata. */
  id: number;
  initialize: InitializeResult;
  lists: Lists;
  /** Milliseconds since the epoch. */
  learnedAt: number;
}

type Stored = Omit<ServerMetadata, "id"> & { format: number };

export class Catalog {
  readonly #directory: string;
  readonly #log: Log;
  readonly #known = new Map<string, ServerMetadata | undefined>();
  readonly #listeners = new Set<(key: string) => void>();
  #nextId = 1;
  #isUsable = true;

  constructor(frontDirectory: string, log: Log) {
    this.#directory = join(frontDirectory, "catalog");
    this.#log = log;
  }

  get(key: string): ServerMetadata | undefined {
    if (!this.#known.has(key)) this.#keep(key, this.#read(key));
    return this.#known.get(key);
  }

  /** Bounds memory against an endless variety of clients: the oldest metadata is read or learned again. */
  #keep(key: string, metadata: ServerMetadata | undefined): void {
    this.#known.set(key, metadata);
    const [oldest] = this.#known.keys();
    if (this.#known.size > entriesMax && oldest !== undefined && oldest !== key) this.#known.delete(oldest);
  }

  /** Stores new metadata, in memory at once; notifies the listeners of changes. */
  put(key: string, fresh: { initialize: InitializeResult; lists: Lists; learnedAt: number }): ServerMetadata {
    const old = this.get(key);
    const isSame = old !== undefined && sameText(old.initialize, fresh.initialize) && sameText(old.lists, fresh.lists);
    const metadata = isSame ? { ...old, learnedAt: fresh.learnedAt } : { id: this.#nextId++, ...fresh };
    this.#keep(key, metadata);
    this.#write(key, metadata);
    if (!isSame) for (const listener of this.#listeners) listener(key);
    return metadata;
  }

  /** Metadata of a single process, outside the catalog. */
  loose(fresh: { initialize: InitializeResult; lists: Lists; learnedAt: number }): ServerMetadata {
    return { id: this.#nextId++, ...fresh };
  }

  /** `listener` gets the key of each change; the returned function removes it. */
  onChange(listener: (key: string) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #read(key: string): ServerMetadata | undefined {
    try {
      const stored = JSON.parse(readFileSync(join(this.#directory, `${key}.json`), "utf8")) as Stored;
      if (stored.format !== format) return undefined;
      const { initialize, lists, learnedAt } = stored;
      const { capabilities, serverInfo } = initialize;
      if (!isObject(capabilities) || !isObject(serverInfo)) return undefined;
      const isWhole = typeof initialize.protocolVersion === "string" && Object.values(lists).every(Array.isArray);
      return isWhole ? { id: this.#nextId++, initialize, lists, learnedAt } : undefined;
    } catch {
      return undefined; // missing, or truncated by a crash: it is learned again
    }
  }

  #write(key: string, { initialize, lists, learnedAt }: ServerMetadata): void {
    const text = JSON.stringify({ format, initialize, lists, learnedAt });
    if (!this.#isUsable || text.length > fileBytesMax) return;
    const file = join(this.#directory, `${key}.json`);
    try {
      makeDirectory(this.#directory);
      writeFileSync(`${file}.new`, text, { mode: 0o600 });
      replaceByRename(`${file}.new`, file);
      this.#prune();
    } catch (error) {
      // The directory is optional: without it, lists need a start after each restart of the gateway.
      this.#isUsable = false;
      this.#log("mcp.catalog", { error: String(error), hint: "tool lists are not kept on disk" });
    }
  }

  #prune(): void {
    const names = readdirSync(this.#directory);
    if (names.length <= filesMax) return;
    const byAge = names
      .map((name) => ({ name, at: statSync(join(this.#directory, name), { throwIfNoEntry: false })?.mtimeMs ?? 0 }))
      .sort((a, b) => a.at - b.at);
    for (const { name } of byAge.slice(0, names.length - filesMax))
      rmSync(join(this.#directory, name), { force: true });
  }
}

function sameText(one: unknown, other: unknown): boolean {
  return JSON.stringify(one) === JSON.stringify(other);
}
