/** The steps of every command that changes client configs: find, plan, show, confirm, write. */
import { existsSync, rmSync } from "node:fs";
import { stdin, stdout } from "node:process";
import { systemName } from "../platform/self/index.ts";
import { readDocument, type Document } from "../config/clients/document.ts";
import { describeChange } from "../config/clients/diff.ts";
import { assertReplaceable, backUp, backupsOf, readWhole, replaceFile, type ReadFile } from "../config/clients/file.ts";
import { clientFiles, clientNames, serversPaths, type ClientName, type ServersPath } from "../config/clients/places.ts";
import type { Change } from "../config/clients/wrap.ts";
import { HoldfastError } from "../errors.ts";
import { printJson, printLines } from "./print.ts";
import { agrees } from "./prompt.ts";

export interface FileChoice {
  file?: string;
  client?: ClientName;
}

export interface ClientFile {
  read: ReadFile;
  paths: readonly ServersPath[];
  document: Document;
  client: ClientName | undefined;
}

export interface PlannedChange {
  source: ClientFile;
  change: Change;
}

export interface Consent {
  yes: boolean;
  dryRun: boolean;
}

/** The existing files, read; a file shared by two clients appears once. Throws when there is none, or one is broken. */
export function openClientFiles({ file, client }: FileChoice): ClientFile[] {
  if (file !== undefined) return [open(file, client, serversPaths(client, file))];
  const surroundings = { env: process.env, directory: process.cwd(), platform: systemName };
  const clients = client === undefined ? clientNames : [client];
  const looked = clients.flatMap((name) => clientFiles(name, surroundings).map((path) => ({ name, path })));
  const found = looked
    .filter(({ path }) => existsSync(path))
    .map(({ name, path }) => open(path, name, serversPaths(name, path)));
  if (found.length > 0)
    return found.filter((one, index) => found.findIndex(({ read }) => read.target === one.read.target) === index);
  throw new HoldfastError(
    "client_config_unreadable",
    `found no config of ${client ?? "a known client"}; looked for ${looked.map(({ path }) => path).join(", ")}; name the file instead`,
  );
}

function open(file: string, client: ClientName | undefined, paths: readonly ServersPath[]): ClientFile {
  const read = readWhole(file);
  return { read, paths, client, document: readDocument(file, read.text, paths) };
}

/** The readable backups of a file, newest first. */
export function originalsOf({ read, paths }: ClientFile): Document[] {
  return backupsOf(read).flatMap((name) => {
    try {
      // Parsed under the file's own name, which says whether it is TOML.
      return [readDocument(read.file, readWhole(name).text, paths)];
    } catch {
      return []; // an unreadable hint is ignored
    }
  });
}

interface Report {
  file: string;
  changed: boolean;
  written: boolean;
  backup?: string;
  servers: Change["findings"];
}

export interface ChangeWords {
  /** The participle for a changed server, e.g. "wrapped". */
  done: string;
  /** Keep a copy of the original. */
  keepBackup: boolean;
  json: boolean;
  /** Throws where the change must not be written. Runs before the question, but not with --dry-run. */
  require?: () => void;
  /** Runs after confirmation, before the first file is written. */
  before?: () => Promise<void> | void;
}

/** Returns the exit code: 0 written, or nothing to write; 1 declined. */
export async function carryOut(
  planned: readonly PlannedChange[],
  consent: Consent,
  words: ChangeWords,
): Promise<number> {
  const reports = planned.map(({ source, change }): Report => ({
    file: source.read.file,
    changed: change.after !== source.read.text,
    written: false,
    servers: change.findings,
  }));
  if (!words.json) for (const one of planned) printLines(describePlan(one, words));
  const isChange = reports.some(({ changed }) => changed);
  if (isChange && !consent.dryRun) words.require?.();
  const code = !isChange || consent.dryRun ? 0 : consent.yes || (await agree(words)) ? "write" : 1;
  if (code === "write") {
    for (const { source, change } of planned) if (change.after !== source.read.text) assertReplaceable(source.read);
    await words.before?.();
    writeAll(planned, reports, words);
  }
  if (words.json) printJson(reports);
  else printLines(closing(reports, consent));
  return code === "write" ? 0 : code;
}

function describePlan({ source, change }: PlannedChange, { done }: ChangeWords): string[] {
  const lines = change.findings.map(({ name, state, note }) => {
    const what = state === "changed" ? done : state === "left" ? "left as it is" : "unchanged";
    return `  ${name}: ${what}${note === undefined ? "" : ` (${note})`}`;
  });
  const none = lines.length === 0 ? ["  no servers"] : [];
  return [source.read.file, ...describeChange(source.read.text, change.after), ...none, ...lines];
}

/** Asks the person at a terminal; scripts pass --yes. */
async function agree({ json }: ChangeWords): Promise<boolean> {
  if (!stdin.isTTY || !stdout.isTTY || json) {
    process.stderr.write(
      "holdfast: nothing was written: there is no terminal to ask at; --yes writes it, --dry-run only looks\n",
    );
    return false;
  }
  return agrees("Write this? [y/N] ");
}

function writeAll(planned: readonly PlannedChange[], reports: Report[], { keepBackup }: ChangeWords): void {
  for (const [index, { source, change }] of planned.entries()) {
    const report = reports[index];
    if (report === undefined || !report.changed) continue;
    const backup = keepBackup ? backUp(source.read) : undefined;
    try {
      replaceFile(source.read, change.after);
    } catch (thrown) {
      if (backup !== undefined) rmSync(backup); // a copy of the unchanged file
      const written = reports.filter((one) => one.written).map(({ file }) => file);
      if (written.length > 0) process.stderr.write(`holdfast: written before that: ${written.join(", ")}\n`);
      throw thrown;
    }
    report.written = true;
    if (backup !== undefined) report.backup = backup;
    else dropUsedBackup(source.read, change.after);
  }
}

/** Deletes a backup that equals the file again. */
function dropUsedBackup(read: ReadFile, text: string): void {
  const [newest] = backupsOf(read);
  if (newest !== undefined && readWhole(newest).text === text) rmSync(newest);
}

function closing(reports: readonly Report[], { dryRun }: Consent): string[] {
  const changed = reports.filter((report) => report.changed);
  if (changed.length === 0) return ["nothing to change"];
  if (dryRun) return ["nothing was written (--dry-run)"];
  return changed
    .filter(({ written }) => written)
    .map(({ file, backup }) => `wrote ${file}${backup === undefined ? "" : `; what it was: ${backup}`}`);
}
