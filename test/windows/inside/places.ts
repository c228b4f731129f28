/** Where files lie on Windows, who may read them, and how they are replaced. */
import assert from "node:assert/strict";
import { closeSync, mkdirSync, openSync, readFileSync, writeFileSync } from "node:fs";
import { describe, it } from "node:test";
import { clientFiles } from "../../../src/config/clients/places.ts";
import { prepareServer } from "../../../src/config/prepare.ts";
import { parseServer } from "../../../src/config/server.ts";
import { readWhole, replaceFile } from "../../../src/config/clients/file.ts";
import { configSchema } from "../../../src/config/schema.ts";
import { openStateDirectory, readOrMakeSecret } from "../../../src/keeper/state-directory.ts";
import { baseEnvironment, mergeEnvironment } from "../../../src/platform/environment.ts";
import { cacheDirectory, stateDirectory } from "../../../src/platform/places.ts";
import { findProgram, programName } from "../../../src/platform/program.ts";
import { readPrivateFile, writeDurable, writePrivate } from "../../../src/platform/self/private-file.ts";
import { descriptorOf, ownUser } from "../../../src/platform/windows/security.ts";
import { systemRandom } from "../../../src/random.ts";
import { replaceByRename } from "../../../src/rename.ts";

const { LOCALAPPDATA: local = "", APPDATA: roaming = "", USERPROFILE: profile = "" } = process.env;
const directory = String.raw`C:\plätze und mehr`;
mkdirSync(directory);

describe("places", () => {
  it("are those of Windows, whatever HOME a shell has set", () => {
    process.env["HOME"] = "C:\\elsewhere";
    assert.ok(local !== "" && profile !== "" && roaming !== "");
    assert.equal(stateDirectory(), `${local}\\holdfast\\state`);
    assert.equal(cacheDirectory(), `${local}\\holdfast\\cache`);
    const surroundings = { env: process.env, directory, platform: process.platform };
    assert.deepEqual(clientFiles("claude", surroundings), [
      `${profile}\\.claude.json`,
      `${roaming}\\Claude\\claude_desktop_config.json`,
      `${directory}\\.mcp.json`,
    ]);
    delete process.env["HOME"];
  });

  it("of programs are found by PATHEXT, and named without their extension", () => {
    const path = process.env["PATH"] ?? "";
    assert.match(findProgram("cmd", directory, path) ?? "", /\\cmd\.exe$/i);
    assert.equal(findProgram(process.execPath, directory, path), process.execPath);
    assert.equal(findProgram("no such program", directory, path), undefined);
    assert.equal(programName(String.raw`C:\Program Files\nodejs\NPX.CMD`), "npx");
  });

  it("of a run's variables are one for each name, in any case", () => {
    const base = baseEnvironment();
    assert.equal(base["SystemRoot"]?.toLowerCase(), "c:\\windows");
    const merged = mergeEnvironment(base, { Path: "C:\\own" });
    assert.deepEqual(
      Object.keys(merged).filter((name) => name.toLowerCase() === "path"),
      ["Path"],
    );
  });
});

describe("private files", () => {
  it("have a list of access that the system tells, with this user as owner", () => {
    assert.match(ownUser(), /^S-1-5-/);
    assert.match(descriptorOf(directory) ?? "", new RegExp(`^O:${ownUser()}`));
    assert.equal(descriptorOf(`${directory}\\missing`), undefined);
  });

  it("are made, read and replaced in a state directory of spaces and umlauts", () => {
    const paths = openStateDirectory(`${directory}\\mein zustand`);
    const secret = readOrMakeSecret(paths.token, 32, systemRandom);
    assert.match(secret, /^[0-9a-f]{64}$/);
    assert.equal(readOrMakeSecret(paths.token, 32, systemRandom), secret);
    writePrivate(paths.owner, "eins");
    writeDurable(paths.owner, "zwei");
    assert.equal(readPrivateFile(paths.owner), "zwei");
  });

  it("wait a moment for who is looking at them, then fail as the system says", () => {
    const [from, to] = [`${directory}\\from`, `${directory}\\to`];
    writeFileSync(from, "new");
    writeFileSync(to, "old");
    const held = openSync(to, "r");
    assert.throws(() => replaceByRename(from, to), { code: "EPERM" });
    closeSync(held);
    replaceByRename(from, to);
    assert.equal(readFileSync(to, "utf8"), "new");
  });

  it("of other programs are replaced whole, unless they have changed", () => {
    const file = `${directory}\\claude config.json`;
    writeFileSync(file, "{}");
    const read = readWhole(file);
    replaceFile(read, '{"a": 1}');
    assert.equal(readFileSync(file, "utf8"), '{"a": 1}');
    assert.throws(() => replaceFile(read, "{}"), { code: "client_config_changed" });
  });
});

describe("a config", () => {
  const prepare = (given: object) => {
    const parsed = parseServer({ command: process.execPath, ...given });
    assert.ok("server" in parsed);
    return prepareServer("some", parsed.server);
  };

  it("with resolveNpx makes its server unavailable, and names key and remedy", () => {
    assert.ok("server" in prepare({}));
    const prepared = prepare({ resolveNpx: true });
    assert.ok("problem" in prepared);
    assert.match(prepared.problem, /^mcpServers\.some\.resolveNpx: does not work on Windows yet; remove it/);
  });

  it("takes working directories with a drive or a share, and no others", () => {
    const isTaken = (path: string) => configSchema.safeParse({ exec: { allowDirectories: [path] } }).success;
    assert.deepEqual(["C:\\work", "\\\\server\\share", "/work", "work"].map(isTaken), [true, true, false, false]);
  });
});
