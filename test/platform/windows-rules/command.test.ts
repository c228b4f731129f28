/** The file of a command on Windows, found in constructed directories; shims are written by the tools that write real ones. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { after, before, describe, it } from "node:test";
import * as fc from "fast-check";
import { findCommand, resolveCommand, type Files } from "../../../src/platform/windows-rules/command.ts";
import { commandLine } from "../../../src/platform/windows-rules/arguments.ts";
import { readShim } from "../../../src/platform/windows-rules/shim.ts";
import { property } from "../../fuzz/helpers/property.ts";
import { nastyArguments } from "./nasty-arguments.ts";

const require = createRequire(import.meta.url);
type WriteShim = (from: string, to: string, options?: object) => Promise<void>;
const npmShim = require("cmd-shim") as WriteShim;
const pnpmShim = require("@zkochan/cmd-shim") as WriteShim;

/** A file system whose names are case-insensitive. */
function filesOf(texts: Readonly<Record<string, string>>): Files {
  const byName = new Map(Object.entries(texts).map(([name, text]) => [name.toLowerCase(), text]));
  return {
    isFile: (path) => byName.has(path.toLowerCase()),
    read: (path) => byName.get(path.toLowerCase()) ?? assert.fail(path),
  };
}

/** npm has its Windows files on every system. */
function npxOfNode(): string | undefined {
  const places = (process.env["PATH"] ?? "").split(delimiter).map((directory) => join(directory, "npm"));
  const npm = places.find((place) => existsSync(place) && existsSync(join(dirname(realpathSync(place)), "npx.cmd")));
  return npm === undefined ? undefined : join(dirname(realpathSync(npm)), "npx.cmd");
}

const node = String.raw`C:\Program Files\nodejs\node.exe`;
const tools = String.raw`C:\Üser Näme\tools`;
const path = String.raw`C:\Program Files\nodejs;"C:\Üser Näme\tools";C:\Windows\system32`;
const variables = { Path: path, PATHEXT: ".COM;.EXE;.BAT;.CMD;.VBS;.JS", SystemRoot: "C:\\Windows" };
const cwd = String.raw`D:\work dir`;

describe("a command is found", () => {
  const files = filesOf({
    [node]: "",
    [String.raw`C:\Program Files\nodejs\npx`]: "#!/bin/sh",
    [String.raw`C:\Program Files\nodejs\npx.cmd`]: "",
    [String.raw`${tools}\both.cmd`]: "",
    [String.raw`${tools}\both.exe`]: "",
    [String.raw`${tools}\script.js`]: "",
    [String.raw`${tools}\v1.2.exe`]: "",
    [String.raw`D:\work dir\local.exe`]: "",
    [String.raw`D:\work dir\bin\run.bat`]: "",
  });
  const find = (command: string, more: object = {}) =>
    findCommand(command, { cwd, variables: { ...variables, ...more }, files });

  it("along Path, whatever the case of name and variable", () => {
    assert.equal(find("NODE"), String.raw`C:\Program Files\nodejs\NODE.exe`);
    assert.equal(find("node.exe"), node);
    assert.equal(find("node", { Path: undefined, PATH: path }), node);
  });

  it("by the order of PATHEXT, of which other programs' extensions are no use here", () => {
    assert.equal(find("both"), String.raw`${tools}\both.exe`);
    assert.equal(find("both", { PATHEXT: ".cmd; .EXE" }), String.raw`${tools}\both.cmd`);
    assert.equal(find("script"), undefined);
    assert.equal(find("script.js"), undefined);
    assert.equal(find("v1.2"), String.raw`${tools}\v1.2.exe`);
    assert.equal(find("both", { PATHEXT: "" }), String.raw`${tools}\both.exe`);
  });

  it("never without an extension: npx beside npx.cmd is a shell script", () => {
    assert.equal(find("npx"), String.raw`C:\Program Files\nodejs\npx.cmd`);
  });

  it("from the working directory only by a path", () => {
    assert.equal(find("local"), undefined);
    assert.equal(find(".\\local"), String.raw`D:\work dir\local.exe`);
    assert.equal(find("./bin/run"), String.raw`D:\work dir\bin\run.bat`);
    assert.equal(find("\\work dir\\LOCAL.EXE"), String.raw`D:\work dir\LOCAL.EXE`);
    assert.equal(find(""), undefined);
  });
});

describe("a package manager's shim", () => {
  let directory: string;
  const written: Record<string, string> = {};
  before(async () => {
    directory = mkdtempSync(join(tmpdir(), "holdfast shims ü-"));
    const script = (name: string, text: string) => {
      mkdirSync(dirname(join(directory, name)), { recursive: true });
      writeFileSync(join(directory, name), text);
      return join(directory, name);
    };
    const cli = script("node_modules/@a/server one/cli.js", "#!/usr/bin/env node\n");
    const flagged = script("node_modules/flagged/cli.js", "#!/usr/bin/env -S node --no-warnings\n");
    const binary = script("node_modules/binary/tool.exe", "MZ");
    const python = script("node_modules/snake/run.py", "#!/usr/bin/env python3\n");
    for (const [name, write, from, options] of [
      ["npm", npmShim, cli, {}],
      ["npm-flagged", npmShim, flagged, {}],
      ["npm-binary", npmShim, binary, {}],
      ["npm-python", npmShim, python, {}],
      ["pnpm", pnpmShim, cli, { nodePath: ["/x/node_modules", "/y/node_modules"], createCmdFile: true }],
      ["yarn", pnpmShim, cli, { createCmdFile: true }],
    ] as const) {
      await write(from, join(directory, name), options);
      written[name] = readFileSync(join(directory, `${name}.cmd`), "utf8");
    }
  });
  after(() => rmSync(directory, { recursive: true }));

  const cli = String.raw`${tools}\node_modules\@a\server one\cli.js`;
  const filesWith = (more: Record<string, string> = {}) =>
    filesOf({
      [node]: "",
      ...Object.fromEntries(Object.entries(written).map(([name, text]) => [`${tools}\\${name}.cmd`, text])),
      ...more,
    });
  const resolve = (command: string, args: readonly string[] = [], files = filesWith()) =>
    resolveCommand(command, args, { cwd, variables, files });

  for (const name of ["npm", "pnpm", "yarn"]) {
    it(`of ${name} becomes Node.js with its script, and the 20 nasty arguments stay as they are`, () => {
      const { application, line } = resolve(name, nastyArguments);
      assert.equal(application, node);
      assert.equal(line, commandLine(node, [cli, ...nastyArguments]));
    });

    it(`of ${name} prefers the Node.js beside it`, () => {
      const beside = String.raw`${tools}\node.exe`;
      assert.equal(resolve(name, [], filesWith({ [beside]: "" })).application, beside);
    });
  }

  it("passes on the options of its first line, and starts programs that need no Node.js", () => {
    const flagged = String.raw`${tools}\node_modules\flagged\cli.js`;
    assert.equal(resolve("npm-flagged", ["x"]).line, commandLine(node, ["--no-warnings", flagged, "x"]));
    const binary = String.raw`${tools}\node_modules\binary\tool.exe`;
    assert.equal(resolve("npm-binary", ["x"], filesWith({ [binary]: "" })).line, commandLine(binary, ["x"]));
  });

  it("sets the variables that its program would have had", () => {
    assert.match(resolve("pnpm").variables["NODE_PATH"] ?? "", /x\\node_modules.*y\\node_modules/);
    assert.deepEqual(resolve("npm").variables, {});
    const own = { ...variables, node_path: "Z:\\own" };
    const { variables: set } = resolveCommand("pnpm", [], { cwd, variables: own, files: filesWith() });
    assert.match(set["NODE_PATH"] ?? "", /node_modules;Z:\\own$/);
  });

  it("says what is missing when its interpreter is", () => {
    assert.throws(() => resolve("npm-python"), { code: "spawn_failed", message: /it starts python3/ });
  });

  const withoutNpm = npxOfNode() === undefined ? "no npm with its npx.cmd along PATH" : false;
  it("of Node's own npx is read as well, and starts the npm that is beside it", { skip: withoutNpm }, () => {
    const text = readFileSync(npxOfNode() ?? assert.fail(), "utf8");
    const at = String.raw`C:\Program Files\nodejs`;
    const { line } = resolve("npx", ["-y", "a b"], filesWith({ [`${at}\\npx.cmd`]: text }));
    assert.equal(line, commandLine(node, [`${at}\\node_modules\\npm\\bin\\npx-cli.js`, "-y", "a b"]));
  });

  it("in front of itself is not followed in a circle", () => {
    const circle = '@"%~dp0\\circle.cmd" %*\r\n';
    const { application } = resolve("circle", [], filesWith({ [`${tools}\\circle.cmd`]: circle }));
    assert.match(application, /cmd\.exe$/);
  });
});

describe("any other batch file is not a shim", () => {
  const surroundings = { file: String.raw`C:\a\b.cmd`, exists: () => false, variable: () => undefined };
  for (const text of [
    "",
    "@echo off\r\n",
    'del "%TEMP%\\x"\r\nnode "%~dp0\\x.js" %*\r\n',
    'node "%~dp0\\x.js" %*\r\necho done\r\n',
    'node "%~dp0\\x.js" %* & calc\r\n',
    'node "%~dp0\\x.js" > out.txt %*\r\n',
    'node "%~dp0\\x.js" %1\r\n',
    'node "%~dp0\\%UNSET:~1%.js" %*\r\n',
    'IF EXIST "x" (\r\nnode "%~dp0\\x.js" %*\r\n',
    'IF NOT EXIST "x" (\r\nnode "%~dp0\\x.js" %*\r\n',
    'node "%~dp0\\x.js" %*\r\nnode "%~dp0\\y.js" %*\r\n',
    ")\r\nnode x %*\r\n",
    "chcp 65001\r\nnode x.js %*\r\n",
  ]) {
    it(JSON.stringify(text), () => assert.equal(readShim(text, surroundings), undefined));
  }

  it("and is started by cmd.exe, or refused for its arguments", () => {
    const files = filesOf({ [String.raw`${tools}\build.bat`]: "echo %1\r\n" });
    assert.match(resolveCommand("build", ["a b"], { cwd, variables, files }).application, /\\System32\\cmd\.exe$/);
    assert.throws(() => resolveCommand("build", ["50%"], { cwd, variables, files }), { code: "spawn_failed" });
  });

  it("a missing command is an error that says so", () => {
    assert.throws(() => resolveCommand("nope", [], { cwd, variables, files: filesOf({}) }), {
      code: "spawn_failed",
      message: /cannot start nope: no such program$/,
    });
  });

  const lines = fc.array(
    fc.constantFrom(
      "@ECHO off",
      "SETLOCAL",
      ")",
      ") ELSE (",
      'IF EXIST "a" (',
      'SET "a=%a%"',
      "node x %*",
      "calc",
      "%",
      '"',
    ),
    { maxLength: 12 },
  );
  property("is read without an error, and what has an unknown line on its way is not a shim", 1000, lines, (given) => {
    const shim = readShim(given.join("\r\n"), surroundings);
    if (shim !== undefined) assert.deepEqual([shim.words, given.includes("%")], [["node", "x"], false]);
  });
});
