/** A person's home of its own for each test, with a project in it, and `holdfast` as that person calls it there. */
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterEach, beforeEach } from "node:test";
import { compileCache, mainFile } from "./program.ts";

export { mainFile };
let home = "";

/** Call it once in a test file. */
export function livesInItsOwnHome(): void {
  beforeEach(() => {
    home = realpathSync(mkdtempSync(join(tmpdir(), "holdfast-test-")));
    mkdirSync(path("project"));
  });
  afterEach(() => rmSync(home, { recursive: true }));
}

export const path = (...parts: string[]): string => join(home, ...parts);

interface Outcome {
  code: number | null;
  stdout: string;
  stderr: string;
}

/** In an almost empty environment, in the project directory of the home. */
export function holdfast(words: string[], env: Record<string, string> = {}): Outcome {
  const given = { ...compileCache, PATH: "/usr/bin:/bin", HOME: home, ...env };
  const { status, stdout, stderr } = spawnSync(process.execPath, [mainFile, ...words], {
    encoding: "utf8",
    timeout: 30_000,
    cwd: path("project"),
    env: given,
  });
  return { code: status, stdout, stderr };
}

/** Text as it is, anything else as JSON. Returns the whole path. */
export function put(file: string, content: string | object): string {
  const whole = path(file);
  mkdirSync(dirname(whole), { recursive: true });
  writeFileSync(whole, typeof content === "string" ? content : `${JSON.stringify(content, null, 2)}\n`);
  return whole;
}

export const read = (file: string): string => readFileSync(path(file), "utf8");
export const stdio = (name: string): object => ({ [name]: { command: "npx", args: ["-y", name] } });
