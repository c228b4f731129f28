/** Command lines for CreateProcessW, read back by the rules of CommandLineToArgvW; under wine a real program reads them. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as fc from "fast-check";
import { shell } from "../../../src/platform/self/index.ts";
import { commandLine, startLine } from "../../../src/platform/windows-rules/arguments.ts";
import { property } from "../../fuzz/helpers/property.ts";
import { nastyArguments } from "./nasty-arguments.ts";

/** The documented rules, read independently of the code that writes: the program's word first, then arguments. */
function wordsOf(line: string): string[] {
  const first = /^"([^"]*)"/.exec(line);
  assert.ok(first, line);
  const words = [first[1] ?? ""];
  let word = "";
  let isOpen = false;
  let isWord = false;
  for (let at = first[0].length; at < line.length; at += 1) {
    const char = line.charAt(at);
    if (char === "\\") {
      const run = /^\\+/.exec(line.slice(at))?.[0] ?? "";
      const isBeforeQuote = line.charAt(at + run.length) === '"';
      word += "\\".repeat(isBeforeQuote ? Math.floor(run.length / 2) : run.length);
      at += run.length - 1;
      if (isBeforeQuote && run.length % 2 === 1) {
        word += '"';
        at += 1;
      }
      isWord = true;
    } else if (char === '"') {
      isOpen = !isOpen;
      isWord = true;
    } else if (!isOpen && (char === " " || char === "\t")) {
      if (isWord) words.push(word);
      [word, isWord] = ["", false];
    } else {
      word += char;
      isWord = true;
    }
  }
  return isWord ? [...words, word] : words;
}

const program = String.raw`C:\Program Files\ünï\a.exe`;

describe("a line for a program", () => {
  it("gives it the 20 nasty arguments as they are", () => {
    assert.equal(nastyArguments.length, 20);
    assert.deepEqual(wordsOf(commandLine(program, nastyArguments)), [program, ...nastyArguments]);
  });

  const unit = fc.constantFrom('"', "\\", " ", "\t", "\n", "a", "%", "^", "ä", "\ud83d\ude00");
  const argument = fc.oneof(fc.string({ unit, maxLength: 12 }), fc.string({ unit: "binary", maxLength: 8 }));
  const words = fc.array(
    argument.filter((each) => !each.includes("\0")),
    { maxLength: 6 },
  );
  property("reads back as the same words, whatever they are", 2000, words, (args) => {
    assert.deepEqual(wordsOf(commandLine(program, args)), [program, ...args]);
  });

  it("refuses what no process can be given: a NUL, a quotation mark in the program's name, more than 32,766 characters", () => {
    assert.throws(() => commandLine(program, ["a", "b\0c"]), { code: "spawn_failed", message: /argument 2 has a NUL/ });
    assert.throws(() => commandLine('C:\\a"b.exe', []), { code: "spawn_failed", message: /quotation mark/ });
    const room = 32_766 - commandLine(program, [""]).length + 2;
    assert.equal(commandLine(program, ["x".repeat(room)]).length, 32_766);
    assert.throws(() => commandLine(program, ["x".repeat(room + 1)]), { code: "spawn_failed", message: /32766/ });
  });
});

describe("a line for a batch file", () => {
  const file = String.raw`C:\my tools\build (1)&.bat`;
  const root = String.raw`C:\Windows`;

  it("is for the system's own cmd.exe, with every word in quotation marks", () => {
    assert.deepEqual(startLine(file, ["a b", "&calc", "^x", "", "c\\"], root), {
      application: String.raw`C:\Windows\System32\cmd.exe`,
      line: String.raw`"C:\Windows\System32\cmd.exe" /e:ON /v:OFF /d /s /c ""C:\my tools\build (1)&.bat" "a b" "&calc" "^x" "" "c\\""`,
    });
  });

  for (const bad of ["%PATH%", 'a"b', "a\nb", "a\rb", "100%"]) {
    it(`refuses ${JSON.stringify(bad)}, which cmd.exe would interpret, and names the argument`, () => {
      assert.throws(() => startLine(file, ["ok", bad], root), { code: "spawn_failed", message: /argument 2 has/ });
    });
  }

  it("refuses a name that cmd.exe would change, and more than 8,191 characters", () => {
    assert.throws(() => startLine(String.raw`C:\%TEMP%\a.cmd`, [], root), { code: "spawn_failed", message: /rename/ });
    assert.throws(() => startLine(file, ["x".repeat(8191)], root), { code: "spawn_failed", message: /8191/ });
  });

  const args = fc.array(fc.string({ unit: "binary", maxLength: 8 }), { maxLength: 4 });
  property("never has a character outside quotation marks that cmd.exe would interpret", 1000, args, (given) => {
    let line = "";
    try {
      ({ line } = startLine(file, given, root));
    } catch {
      return; // refused
    }
    const inner = line.slice(line.indexOf("/c ") + 4, -1);
    const outside = inner.split('"').filter((_, index) => index % 2 === 0);
    assert.deepEqual(
      [...new Set(outside.join("").trim())].filter((char) => char !== " "),
      [],
    );
    assert.doesNotMatch(inner, /[%\r\n\0]/);
  });
});

describe("a command line for the system's shell", () => {
  const cmd = String.raw`C:\Windows\system32\CMD.EXE`;
  const lineOf = (text: string) => startLine(cmd, shell(text, "win32").slice(1), "C:\\Windows").line;

  it("reaches cmd.exe as it is, inside the quotation marks that /s takes off", () => {
    for (const text of ['echo "a b" & exit 3', String.raw`"C:\a b\c.exe" "x\" ^& %PATH%`, ""])
      assert.equal(lineOf(text), `"${cmd}" /d /s /c "${text}"`);
  });

  it("is refused with its remedy when cmd.exe would read a part of it only", () => {
    for (const text of ["echo a\necho b", "echo a\r", "a".repeat(8192)])
      assert.throws(() => lineOf(text), { code: "spawn_failed", message: /argv/ });
  });

  it("is that of the system where it runs", () => {
    assert.deepEqual(shell("a b", "win32"), ["cmd.exe", "/d", "/s", "/c", "a b"]);
    for (const system of ["linux", "darwin", ""]) assert.deepEqual(shell("a b", system), ["/bin/sh", "-c", "a b"]);
  });

  it("leaves other words for cmd.exe to the usual rules", () => {
    const { line } = startLine(cmd, ["/d", "/c", 'echo "a"'], "C:\\Windows");
    assert.equal(line, String.raw`"${cmd}" /d /c "echo \"a\""`);
  });
});
