/** The package on other machines: an older Node.js, another operating system; and the scripts that people are told to run. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { tmpdir } from "node:os";
import { describe, it } from "node:test";
import { leavesNothing } from "./helpers/no-leaks.ts";
import { olderNode } from "./helpers/packed.ts";
import { root } from "./helpers/tiers.ts";

const entry = join(root, "dist/main.js");
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  engines: { node: string };
  scripts: Record<string, string>;
};

interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

function play(node: string, words: string[], env: NodeJS.ProcessEnv = process.env): Outcome {
  return spawnSync(node, words, { encoding: "utf8", timeout: 30_000, env });
}

const preload = (code: string) => ["--import", `data:text/javascript,${encodeURIComponent(code)}`];

function assertToldToUpdate({ status, stdout, stderr }: Outcome, version: string): void {
  assert.equal(status, 1);
  assert.equal(stdout, "");
  assert.match(stderr, /^holdfast: Node\.js 24 or newer is needed, this is [^\n]+\n$/);
  assert.ok(stderr.includes(version), stderr);
  assert.ok(stderr.includes("npm ci && npm start"), stderr);
}

const libraries = ["dist/index.js", "dist/client/index.js"];

/** What an import of each library ends with, one JSON line each. */
const importing = libraries
  .map(
    (file) => `await import(${JSON.stringify(join(root, file))}).then(
    () => console.log('"imported"'),
    ({ code, message }) => console.log(JSON.stringify({ code, message })));`,
  )
  .join("\n");

function assertImportRefused({ status, stdout, stderr }: Outcome, version: string): void {
  assert.deepEqual([status, stderr], [0, ""]);
  const lines = stdout.trimEnd().split("\n");
  assert.equal(lines.length, libraries.length);
  for (const line of lines) {
    const { code, message } = JSON.parse(line) as { code: string; message: string };
    assert.equal(code, "unsupported_node");
    assert.match(message, /^holdfast: Node\.js 24 or newer is needed, this is [^\n]+$/);
    assert.ok(message.includes(version), message);
  }
}

describe("on an older Node.js", () => {
  leavesNothing();
  const older = olderNode();
  const skip = older === undefined && "this machine has no Node.js older than 24";
  it("the program says what to do and exits with 1", { skip }, () => {
    const { file, version } = older ?? assert.fail();
    for (const words of [["gateway"], ["run", "--", "true"], ["--help"]]) {
      assertToldToUpdate(play(file, [entry, ...words]), version);
    }
  });

  it("an import of the library, or of the client, says what is needed", { skip }, () => {
    const { file, version } = older ?? assert.fail();
    assertImportRefused(play(file, ["--input-type=module", "--eval", importing]), version);
  });

  for (const version of ["22.1.0", "23.11.1", "18.20.8"]) {
    it(`so it is where only the version is an older one: ${version}`, () => {
      const fake = preload(
        `Object.defineProperty(process, "versions", { value: { ...process.versions, node: "${version}" } });`,
      );
      assertToldToUpdate(play(process.execPath, [...fake, entry, "status"]), version);
      const words = [...fake, "--input-type=module", "--eval", importing];
      assertImportRefused(play(process.execPath, words), version);
    });
  }
});

/** What another operating system has not: the name Linux, and /proc. */
const elsewhere = (platform: string) =>
  preload(`
    import fs from "node:fs";
    import { syncBuiltinESMExports } from "node:module";
    Object.defineProperty(process, "platform", { value: ${JSON.stringify(platform)} });
    for (const name of ["readFileSync", "readdirSync", "readlinkSync", "statSync", "lstatSync", "accessSync"]) {
      const real = fs[name];
      fs[name] = (path, ...rest) => {
        if (String(path).startsWith("/proc")) throw Object.assign(new Error("ENOENT: " + path), { code: "ENOENT" });
        return real(path, ...rest);
      };
    }
    syncBuiltinESMExports();
  `);

for (const platform of ["darwin", "win32"]) {
  describe(`on ${platform}`, () => {
    leavesNothing();
    const flags = elsewhere(platform);

    it("every module loads", () => {
      const code = `
        const { globSync } = await import("node:fs");
        for (const file of globSync(${JSON.stringify(join(root, "dist/**/*.js"))})) {
          if (!/(^|\\/)main\\.js$/.test(file)) await import(file);
        }
        console.log("loaded");
      `;
      const { status, stdout, stderr } = play(process.execPath, [...flags, "--input-type=module", "--eval", code]);
      assert.deepEqual([status, stdout, stderr], [0, "loaded\n", ""]);
    });

    if (platform === "win32") return; // test/windows/ runs it as a program of Windows

    it("the gateway says what it cannot load and exits with 1", () => {
      const state = mkdtempSync(join(tmpdir(), "holdfast-platform-"));
      try {
        const words = [...flags, entry, "gateway", "--port", "0", "--state", state];
        const { status, stderr } = play(process.execPath, words);
        assert.equal(status, 1);
        assert.match(stderr, /^holdfast: [^\n]*libSystem\.B\.dylib, which cannot be loaded here[^\n]*\n$/);
      } finally {
        rmSync(state, { recursive: true, force: true });
      }
    });

    it("run says the same and exits with 1", () => {
      const { status, stderr } = play(process.execPath, [...flags, entry, "run", "--", "true"]);
      assert.equal(status, 1);
      assert.match(stderr, /^holdfast: [^\n]*libSystem\.B\.dylib, which cannot be loaded here[^\n]*\n$/);
    });
  });
}

describe("the package", () => {
  it("has every script that the README names", () => {
    const readme = readFileSync(join(root, "README.md"), "utf8");
    const named = [...readme.matchAll(/npm (?:run (?:-s )?([\w:-]+)|(start|test))/g)].map(
      ([, run, own]) => run ?? own ?? "",
    );
    assert.ok(named.includes("start") && named.includes("test"), "the README names the two commands");
    for (const name of named) assert.ok(manifest.scripts[name] !== undefined, `no script ${name}`);
  });

  it("has all that its own checks call", () => {
    for (const name of ["start", "demo", "test", "check", "bench", "build", "holdfast"]) {
      assert.ok(manifest.scripts[name] !== undefined, `no script ${name}`);
    }
  });

  it("asks npm for the Node.js that its program asks for", () => {
    assert.equal(manifest.engines.node, ">=24");
  });
});
