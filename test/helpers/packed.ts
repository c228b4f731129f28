/** The package as its users get it: packed by npm, and installed from the tarball. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { delimiter, dirname, join } from "node:path";
import { root } from "./tiers.ts";
import { unreachable } from "./install.ts";

export interface Outcome {
  status: number | null;
  stdout: string;
  stderr: string;
}

/** With the pinned Node.js first on PATH, as npm's scripts have it, and without what npm told the scripts about this package. */
export function play(command: string, words: string[], cwd: string, env: NodeJS.ProcessEnv = {}): Outcome {
  const own = Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name));
  const path = `${dirname(process.execPath)}${delimiter}${process.env["PATH"] ?? ""}`;
  const given = { ...Object.fromEntries(own), PATH: path, ...env };
  const { status, stdout, stderr, error } = spawnSync(command, words, {
    cwd,
    env: given,
    encoding: "utf8",
    timeout: 120_000,
  });
  return { status, stdout, stderr: error === undefined ? stderr : `${stderr}${error.message}` };
}

export interface Tarball {
  file: string;
  /** Paths in the package. */
  paths: string[];
}

/** What `npm pack` makes of this checkout, which it builds first, or of lib/ as it is. */
export function pack(directory: string, builds: boolean): Tarball {
  const words = ["pack", "--json", ...(builds ? [] : ["--ignore-scripts"]), "--pack-destination", directory];
  const { status, stdout, stderr } = play("npm", words, root);
  if (status !== 0) throw new Error(`npm pack: ${stderr}`);
  const report = JSON.parse(stdout) as Record<string, { filename: string; files: { path: string }[] }>;
  const [packed] = Object.values(report);
  if (packed === undefined) throw new Error(`npm pack said nothing of a package: ${stdout}`);
  return { file: join(directory, packed.filename), paths: packed.files.map(({ path }) => path) };
}

/** Installs the tarball with its dependencies from the registry; why not, when no registry can be reached. */
export function install(words: string[], cwd: string): string | undefined {
  const quiet = ["--no-audit", "--no-fund", "--prefer-offline", "--fetch-retries=1", "--loglevel=error"];
  const { status, stderr } = play("npm", ["install", ...quiet, ...words], cwd);
  if (status === 0) return undefined;
  if (unreachable.test(stderr)) return `npm reaches no registry: ${stderr.trim().split("\n")[0]}`;
  throw new Error(`npm install: ${stderr}`);
}

/** A project of somebody else's, with nothing in it. */
export function startProject(directory: string): string {
  mkdirSync(directory);
  writeFileSync(join(directory, "package.json"), JSON.stringify({ name: "a-host", private: true, type: "module" }));
  return directory;
}

export function filesBelow(directory: string): { path: string; text: string }[] {
  return readdirSync(directory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => ({
      path: join(parentPath, name),
      text: readFileSync(join(parentPath, name), "utf8"),
    }));
}

/** A Node.js of this machine that is older than the package needs, if there is one. */
export function olderNode(): { file: string; version: string } | undefined {
  for (const directory of (process.env["PATH"] ?? "").split(delimiter)) {
    const file = join(directory, "node");
    const { status, stdout } = spawnSync(file, ["-p", "process.versions.node"], { encoding: "utf8", timeout: 30_000 });
    if (status === 0 && Number(stdout.split(".")[0]) < 24) return { file, version: stdout.trim() };
  }
  return undefined;
}
