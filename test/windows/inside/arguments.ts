/** Command lines as real programs of Windows read them; Node.js passes them on verbatim. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { text } from "node:stream/consumers";
import { describe, it } from "node:test";
import { resolveCommand } from "../../../src/platform/windows-rules/command.ts";
import { environmentBlock } from "../../../src/platform/windows-rules/environment.ts";
import { nastyArguments } from "../../platform/windows-rules/nasty-arguments.ts";

const directory = String.raw`C:\wörds and spaces (1)`;
mkdirSync(`${directory}\\node_modules\\an echo`, { recursive: true });
const echo = `${directory}\\node_modules\\an echo\\echo.js`;
writeFileSync(echo, "console.log(JSON.stringify(process.argv.slice(2)))");
writeFileSync(
  `${directory}\\shim.cmd`,
  [
    "@ECHO off",
    "SETLOCAL",
    'IF EXIST "%~dp0\\node.exe" (',
    '  SET "_prog=%~dp0\\node.exe"',
    ") ELSE (",
    `  SET "_prog=${process.execPath}"`,
    ")",
    'endLocal & goto #_undefined_# 2>NUL || title %COMSPEC% & "%_prog%"  "%~dp0\\node_modules\\an echo\\echo.js" %*',
    "",
  ].join("\r\n"),
);
writeFileSync(
  `${directory}\\batch.bat`,
  `@"${process.execPath}" "%~dp0node_modules\\an echo\\echo.js" %*\r\n@echo.\r\n`,
);

const variables = { ...process.env, Path: `C:\\nowhere;"${directory}"` };

async function readBack(command: string, args: readonly string[]): Promise<unknown> {
  const { application, line } = resolveCommand(command, args, { cwd: "C:\\", variables });
  const [first = ""] = /^"[^"]*"/.exec(line) ?? [];
  const child = spawn(application, [line.slice(first.length + 1)], {
    argv0: first,
    windowsVerbatimArguments: true,
    stdio: ["ignore", "pipe", "inherit"],
    detached: true,
  });
  return JSON.parse(await text(child.stdout));
}

describe("what a program is given is what it reads", () => {
  it("for the 20 nasty arguments to an .exe", async () => {
    assert.deepEqual(await readBack(process.execPath, [echo, ...nastyArguments]), nastyArguments);
  });

  it("for the 20 nasty arguments through a package's shim, which is read and not run", async () => {
    assert.deepEqual(await readBack("shim", nastyArguments), nastyArguments);
  });

  it("for a batch file, of every argument that is not refused", async () => {
    const taken = nastyArguments.filter((each) => !/["%]/.test(each));
    assert.deepEqual(await readBack("batch", taken), taken);
    assert.throws(() => resolveCommand("batch", ["100%"], { cwd: "C:\\", variables }), { code: "spawn_failed" });
  });
});

it("an environment block has SystemRoot, and sorts as the system's own does", () => {
  const names = environmentBlock({ b: "1", A: "2" })
    .toString("utf16le")
    .split("\0")
    .map((entry) => entry.slice(0, entry.indexOf("=", 1)));
  assert.deepEqual(
    names.filter((name) => /^(?:a|b|systemroot)$/i.test(name)).map((name) => name.toLowerCase()),
    ["a", "b", "systemroot"],
  );
});
