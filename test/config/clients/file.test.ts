/** A client's config file is replaced whole or not at all, and never over what somebody else wrote. */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import {
  chmodSync,
  chownSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { backUp, backupsOf, createFile, readWhole, replaceFile } from "../../../src/config/clients/file.ts";
import { HoldfastError, type ErrorCode } from "../../../src/errors.ts";
import { leavesNothing } from "../../helpers/no-leaks.ts";

let directory = "";
const path = (name: string) => join(directory, name);

function throwsCode(action: () => unknown, code: ErrorCode, said: RegExp): void {
  assert.throws(action, (thrown) => {
    assert.ok(thrown instanceof HoldfastError, String(thrown));
    assert.equal(thrown.code, code);
    assert.match(thrown.message, said);
    assert.match(thrown.message, /nothing was changed|its change is kept/);
    return true;
  });
}

describe("a config file of a client", () => {
  leavesNothing();
  beforeEach(() => {
    directory = mkdtempSync(join(tmpdir(), "holdfast-test-"));
    writeFileSync(path("config"), "before");
  });
  afterEach(() => rmSync(directory, { recursive: true }));

  it("keeps its mode and owner, and leaves no other file behind", () => {
    chmodSync(path("config"), 0o640);
    const isRoot = process.getuid?.() === 0;
    if (isRoot) chownSync(path("config"), 1234, 4321);
    const old = statSync(path("config"));
    replaceFile(readWhole(path("config")), "after");
    const { mode, uid, gid, ino } = statSync(path("config"));
    assert.equal(readFileSync(path("config"), "utf8"), "after");
    assert.deepEqual([mode & 0o7777, uid, gid], [0o640, old.uid, old.gid]);
    assert.notEqual(ino, old.ino, "it was replaced by a rename, not written over");
    assert.deepEqual(readdirSync(directory), ["config"]);
  });

  it("behind symbolic links is replaced where it is, and the links stay", () => {
    mkdirSync(path("dotfiles"));
    renameSync(path("config"), path("dotfiles/real"));
    symlinkSync("dotfiles/real", path("middle"));
    symlinkSync(path("middle"), path("config"));
    const read = readWhole(path("config"));
    const backup = backUp(read);
    replaceFile(read, "after");
    assert.ok(lstatSync(path("config")).isSymbolicLink());
    assert.equal(readlinkSync(path("middle")), "dotfiles/real");
    assert.equal(readFileSync(path("dotfiles/real"), "utf8"), "after");
    assert.equal(backup, readWhole(path("dotfiles/real")).target + ".holdfast-backup");
  });

  for (const [how, write] of [
    ["written over", (file: string) => writeFileSync(file, "theirs")],
    [
      "renamed over",
      (file: string) => {
        writeFileSync(`${file}.new`, "theirs");
        renameSync(`${file}.new`, file);
      },
    ],
    [
      "renamed over by the same bytes",
      (file: string) => {
        writeFileSync(`${file}.new`, "before");
        renameSync(`${file}.new`, file);
      },
    ],
    ["removed", (file: string) => rmSync(file)],
  ] as const) {
    it(`that another program has ${how} since it was read is not touched`, () => {
      const read = readWhole(path("config"));
      write(path("config"));
      const names = readdirSync(directory);
      const theirs = names.includes("config") ? readFileSync(path("config"), "utf8") : undefined;
      const inode = statSync(path("config"), { throwIfNoEntry: false })?.ino;
      if (how === "renamed over by the same bytes") replaceFile(read, "after"); // nothing of theirs is lost
      else {
        throwsCode(() => replaceFile(read, "after"), "client_config_changed", /by another program/);
        assert.equal(statSync(path("config"), { throwIfNoEntry: false })?.ino, inode, "not even for a moment");
      }
      assert.deepEqual(readdirSync(directory), names);
      const now = names.includes("config") ? readFileSync(path("config"), "utf8") : undefined;
      assert.equal(now, how === "renamed over by the same bytes" ? "after" : theirs);
    });
  }

  it("that is read-only, or has another hard link, is refused; for root too", () => {
    const read = readWhole(path("config"));
    chmodSync(path("config"), 0o444);
    throwsCode(() => replaceFile(read, "after"), "client_config_unwritable", /read-only/);
    throwsCode(() => backUp(read), "client_config_unwritable", /read-only/);
    chmodSync(path("config"), 0o644);
    linkSync(path("config"), path("other"));
    throwsCode(() => replaceFile(read, "after"), "client_config_unwritable", /2 hard links/);
    assert.equal(readFileSync(path("config"), "utf8"), "before");
    assert.deepEqual(readdirSync(directory).toSorted(), ["config", "other"]);
  });

  it("that is huge, no UTF-8, a directory or not there is refused before it is read whole", () => {
    writeFileSync(path("huge"), "");
    truncateSync(path("huge"), 65 * 1024 * 1024);
    throwsCode(() => readWhole(path("huge")), "client_config_unreadable", /68157440 bytes/);
    writeFileSync(path("latin1"), Buffer.from([0x7b, 0xe4, 0x7d]));
    throwsCode(() => readWhole(path("latin1")), "client_config_unreadable", /not UTF-8/);
    throwsCode(() => readWhole(directory), "client_config_unreadable", /not a regular file/);
    throwsCode(() => readWhole(path("none")), "client_config_unreadable", /there is no such file/);
    symlinkSync("nowhere", path("dangling"));
    throwsCode(() => readWhole(path("dangling")), "client_config_unreadable", /there is no such file/);
  });

  it("is backed up for its owner's eyes only, and an older backup stays", () => {
    chmodSync(path("config"), 0o644);
    const read = readWhole(path("config"));
    const first = backUp(read);
    writeFileSync(path("config"), "later");
    const second = backUp(readWhole(path("config")));
    assert.deepEqual(backupsOf(read), [second, first]);
    assert.deepEqual(
      [first, second].map((name) => [readFileSync(name, "utf8"), statSync(name).mode & 0o777]),
      [
        ["before", 0o600],
        ["later", 0o600],
      ],
    );
  });

  it("that is made new is not made over one that came meanwhile", () => {
    createFile(path("deep/new"), "ours");
    assert.equal(statSync(path("deep/new")).mode & 0o777, 0o600);
    throwsCode(() => createFile(path("config"), "ours"), "client_config_unwritable", /it exists already/);
    assert.equal(readFileSync(path("config"), "utf8"), "before");
    assert.deepEqual(readdirSync(directory).toSorted(), ["config", "deep"]);
  });

  it("keeps a byte order mark", () => {
    const text = `\uFEFF${randomUUID()}`;
    writeFileSync(path("config"), text);
    const read = readWhole(path("config"));
    assert.equal(read.text, text);
    replaceFile(read, read.text);
    assert.equal(readFileSync(path("config"), "utf8"), text);
  });
});
