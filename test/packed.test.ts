/** `npm pack`, and what is installed from it: the program, the library, the client and their types. */
import assert from "node:assert/strict";
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  globSync,
  readdirSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { isWhole, sample } from "./helpers/long.ts";
import { leavesNothing } from "./helpers/no-leaks.ts";
import { filesBelow, install, olderNode, pack, play, startProject, type Tarball } from "./helpers/packed.ts";
import { isBuilt } from "./helpers/program.ts";
import { root } from "./helpers/tiers.ts";

const filesMax = 300;
const manifest = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
  bin: Record<string, string>;
  exports: Record<string, Record<string, string>>;
};

let place = "";
let tarball: Tarball = { file: "", paths: [] };

leavesNothing();
before(() => {
  place = realpathSync(mkdtempSync(join(tmpdir(), "holdfast-packed-")));
  tarball = pack(place, isWhole || !isBuilt);
});
after(() => rmSync(place, { recursive: true, force: true }));

describe("the packed package", () => {
  it(`has fewer than ${filesMax} files: the program, its scripts, its types and its pages`, () => {
    const { paths } = tarball;
    assert.ok(paths.length < filesMax, `${paths.length} files`);
    const targets = [...Object.values(manifest.bin), ...Object.values(manifest.exports).flatMap(Object.values)];
    const scripts = globSync("platform/**/*.sh", { cwd: join(root, "src") });
    const wanted = [
      ...targets,
      ...scripts.map((name) => `lib/${name}`),
      "lib/platform/darwin/coalition-sweeper.js",
      "lib/zod.LICENSE",
      "lib/ssh/remote/functions.sh",
      "docs/cli.md",
    ];
    for (const path of [...wanted, "README.md", "LICENSE", "CHANGELOG.md", "packaging/holdfast.service"])
      assert.ok(paths.includes(path.replace(/^\.\//, "")), path);
    const strangers = paths.filter((path) => /^(?:src|test|demo|bench|scripts|dist)\/|\.map$|\.built$/.test(path));
    assert.deepEqual(strangers, []);
  });

  it("cannot be made without the development dependencies: npm pack fails, says what to run, and writes no file", () => {
    const bare = join(place, "clone");
    mkdirSync(bare);
    for (const path of ["package.json", "scripts", "src", "README.md"])
      cpSync(join(root, path), join(bare, path), { recursive: true });
    const { status, stderr } = play("npm", ["pack"], bare);
    assert.notEqual(status, 0);
    assert.match(stderr, /holdfast: packing needs the development dependencies [^\n]*Run `npm ci` first\.\n/);
    assert.deepEqual(
      readdirSync(bare).filter((name) => name.endsWith(".tgz")),
      [],
    );
  });
});

describe("installed for a user, the package", () => {
  let unreached: string | undefined;
  const prefix = () => join(place, "prefix");
  const holdfast = (...words: string[]) => play(join(prefix(), "bin/holdfast"), words, place);
  before(() => {
    unreached = install(["--global", "--prefix", prefix(), tarball.file], place);
  });

  it("is a program that runs, contains and looks about", (t) => {
    if (unreached !== undefined) return t.skip(unreached);
    const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as { version: string };
    assert.deepEqual(holdfast("--version"), { status: 0, stdout: `${version}\n`, stderr: "" });
    assert.deepEqual(holdfast("run", "--", "echo", "hello"), { status: 0, stdout: "hello\n", stderr: "" });
    assert.equal(holdfast("run", "--", "sh", "-c", "exit 7").status, 7);
    const report = holdfast("doctor", "--json");
    assert.equal(report.status, 0, report.stderr);
    assert.ok(Array.isArray((JSON.parse(report.stdout) as { trees: unknown }).trees));
    const own = filesBelow(join(prefix(), "lib/node_modules/holdfast/lib"));
    assert.deepEqual(
      own.filter(({ text }) => text.includes(root)).map(({ path }) => path),
      [],
      "no path of the machine that it was built on",
    );
  });

  it("is a gateway whose servers answer and end with it", async (t) => {
    if (unreached !== undefined) return t.skip(unreached);
    const state = join(place, "state");
    const config = join(place, "holdfast.json");
    const everything = join(root, "node_modules/@modelcontextprotocol/server-everything/dist/index.js");
    const mcpServers = { everything: { command: process.execPath, args: [everything, "stdio"] } };
    writeFileSync(config, JSON.stringify({ port: 0, mcpServers }));
    const gateway = spawn(
      process.execPath,
      [join(prefix(), "bin/holdfast"), "gateway", "--state", state, "--config", config],
      {
        cwd: place,
        stdio: ["ignore", "ignore", "pipe"],
      },
    );
    const exited = once(gateway, "exit");
    try {
      const [said] = (await once(gateway.stderr, "data")) as [Buffer];
      assert.match(String(said), /^holdfast \S+ listens on /);
      gateway.stderr.resume();
      const { stdout } = holdfast("mcp", "probe", "everything", "--state", state);
      assert.match(stdout, /\becho\b/);
      const status = JSON.parse(holdfast("status", "--json", "--state", state).stdout) as { front: { pid: number } };
      assert.ok(status.front.pid > 0);
      assert.equal(holdfast("stop", "--state", state).status, 0);
      assert.deepEqual(await exited, [0, null]);
    } finally {
      gateway.kill("SIGKILL");
    }
  });
});

/** Uses a class as a type and as a value, an event's name and a method of the API. */
const consumer = `
import { Contained, contain, HoldfastError, ContainedStdioTransport, type ContainOptions, type ErrorCode } from "holdfast";
import { GatewayClient, HoldfastClient, type ClientOptions, type ResultOf } from "holdfast/client";

const options: ContainOptions = { termGraceMs: 500 };
const code: ErrorCode = "spawn_failed";
export async function play(): Promise<number | null> {
  await using tree: Contained = await contain("true", [], options);
  // @ts-expect-error: a grace is a number
  await contain("true", [], { termGraceMs: "500" });
  return (await tree.exited).code;
}
export type Status = ResultOf<"gateway.status">;
export const tierOf = (status: Status): string => status.tier;
export const all: unknown[] = [HoldfastError, ContainedStdioTransport, GatewayClient, HoldfastClient, code];
export type Given = ClientOptions;
`;

describe("a project that installs the package", () => {
  let unreached: string | undefined;
  let project = "";
  before(() => {
    project = startProject(join(place, "project"));
    unreached = install([tarball.file], project);
  });

  it("imports the library and the client, contains a tree, and has koffi", (t) => {
    if (unreached !== undefined) return t.skip(unreached);
    const code = `
      import { createRequire } from "node:module";
      import { contain, Contained } from "holdfast";
      import * as client from "holdfast/client";
      await using tree = await contain("sh", ["-c", "sleep 1000 & exit 3"]);
      const { code } = await tree.exited;
      await tree.empty;
      const koffi = createRequire(import.meta.resolve("holdfast"))("koffi");
      const getpid = koffi.load(null).func("int getpid()");
      const isOwn = tree instanceof Contained && getpid() === process.pid;
      console.log(JSON.stringify({ code, isOwn, client: Object.keys(client) }));`;
    writeFileSync(join(project, "host.mjs"), code);
    const { status, stdout, stderr } = play(process.execPath, ["host.mjs"], project);
    assert.equal(status, 0, stderr);
    const client = ["GatewayClient", "HoldfastClient", "HoldfastError"];
    assert.deepEqual(JSON.parse(stdout), { code: 3, isOwn: true, client });
  });

  const older = olderNode();
  it("is told what is needed by an older Node.js", { skip: older === undefined && "no older Node.js here" }, (t) => {
    if (unreached !== undefined) return t.skip(unreached);
    const { file, version } = older ?? assert.fail();
    const needed = new RegExp(`^holdfast: Node\\.js 24 or newer is needed, this is ${version} [^\\n]+\\n$`);
    for (const name of ["holdfast", "holdfast/client"]) {
      const code = `import(${JSON.stringify(name)}).catch(({ message }) => console.log(message));`;
      const { stdout, stderr } = play(file, ["--eval", code], project);
      assert.match(stdout, needed, stderr);
    }
    const { status, stderr } = play(file, [join(project, "node_modules/.bin/holdfast"), "run", "--", "true"], project);
    assert.equal(status, 1);
    assert.match(stderr, needed);
  });

  it("may be written in CommonJS", (t) => {
    if (unreached !== undefined) return t.skip(unreached);
    writeFileSync(join(project, "host.cjs"), 'console.log(typeof require("holdfast").contain);');
    assert.deepEqual(play(process.execPath, ["host.cjs"], project), { status: 0, stdout: "function\n", stderr: "" });
  });

  for (const [resolution, module] of sample([
    ["nodenext", "nodenext"],
    ["bundler", "esnext"],
  ] as const)) {
    it(`has types where TypeScript resolves modules as ${resolution} does`, (t) => {
      if (unreached !== undefined) return t.skip(unreached);
      writeFileSync(join(project, "host.ts"), consumer);
      const compilerOptions = {
        target: "es2024",
        lib: ["es2024", "esnext.disposable"],
        module,
        moduleResolution: resolution,
        strict: true,
        noEmit: true,
        types: ["node"],
        typeRoots: [join(root, "node_modules/@types")],
      };
      const config = join(project, `tsconfig.${resolution}.json`);
      writeFileSync(config, JSON.stringify({ compilerOptions, files: ["host.ts"] }));
      const compiler = join(root, "node_modules/typescript/bin/tsc");
      const { status, stdout } = play(process.execPath, [compiler, "-p", config], project);
      assert.deepEqual([status, stdout], [0, ""]);
    });
  }
});
