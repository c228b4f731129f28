/**
 * Published programs that tests drive: 768 MB, so they are installed only when asked for by HOLDFAST_TEST_PUBLISHED=1 or
 * HOLDFAST_TEST_STRICT=1, into a directory outside the tree where later runs find them: HOLDFAST_TEST_CACHE, by default
 * holdfast-tests in the user's cache directory. Their install scripts are not run.
 */
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { isLive, statOf } from "./pids.ts";
import { until } from "./until.ts";

export interface Wanted<T> {
  /** Part of the directory's name. */
  name: string;
  /** Directory with package.json and package-lock.json. */
  source: string;
  /** What the tests start, from an install in this directory; undefined when it is not all there. */
  find: (directory: string) => T | undefined;
}

export interface Installed<T> {
  found: T | undefined;
  /** Why the tests are skipped, in one line; false when they are not. */
  skip: string | false;
}

const files = ["package.json", "package-lock.json"];
/** 200 MB come over the network; a second test file waits for the first one's install. */
const installBoundMs = 240_000;

/** What npm says when nobody answers, as against a registry that answers with a refusal. */
export const unreachable =
  /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT)\b/;

/** Where later runs find what was downloaded for tests. */
export function testCache(): string {
  const { HOLDFAST_TEST_CACHE: named, XDG_CACHE_HOME: caches } = process.env;
  return named || join(caches || join(homedir(), ".cache"), "holdfast-tests");
}

const isStrict = process.env["HOLDFAST_TEST_STRICT"] === "1";
const isAskedFor = isStrict || process.env["HOLDFAST_TEST_PUBLISHED"] === "1";

function cacheDirectory({ name, source }: Wanted<unknown>): string {
  const { dependencies } = JSON.parse(readFileSync(join(source, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  return join(testCache(), `${name}-${Object.values(dependencies).join("-")}`);
}

function findIn<T>(directory: string, { find }: Wanted<T>): T | undefined {
  // In a directory that all may write to, another user could have put programs under the name that is looked for.
  const owner = statSync(directory, { throwIfNoEntry: false })?.uid;
  return owner === undefined || owner !== process.getuid?.() ? undefined : find(directory);
}

/** Installs beside and renames: whoever finds the directory finds all of it. Returns npm's last words when it fails. */
function install<T>(directory: string, wanted: Wanted<T>): string | undefined {
  const fresh = mkdtempSync(`${directory}.`);
  process.stderr.write(`installing the published ${wanted.name} for the tests into ${directory} …\n`);
  try {
    for (const file of files) copyFileSync(join(wanted.source, file), join(fresh, file));
    const words = ["ci", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error"];
    const patience = ["--fetch-retries=1", "--fetch-retry-mintimeout=1000", "--fetch-timeout=60000"];
    const { status, stderr, error } = spawnSync("npm", [...words, ...patience], {
      cwd: fresh,
      encoding: "utf8",
      stdio: ["ignore", "ignore", "pipe"],
      timeout: installBoundMs,
    });
    if (error !== undefined && "code" in error && error.code === "ETIMEDOUT")
      return `npm ci did not end within ${installBoundMs / 1000} s`;
    const said = (error?.message ?? stderr).replaceAll(/(?:npm error)?\s+/g, " ").trim();
    if (status !== 0) return said || `npm ci ended with ${status}`;
    if (findIn(fresh, wanted) === undefined)
      return `npm ci brought no programs for ${process.platform} ${process.arch}`;
    rmSync(directory, { recursive: true, force: true });
    renameSync(fresh, directory);
    return undefined;
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

/** Runs alone among the test files of this machine; a holder that died is no holder. */
async function alone<T>(lock: string, action: () => T): Promise<T> {
  const isOurs = () => {
    try {
      mkdirSync(lock);
      return true;
    } catch {
      const [pid = "0", startTime = ""] = holderOf(lock);
      // A lock without a name in it was made this very moment, or its maker died in it: then its age tells.
      const age = Date.now() - (statSync(lock, { throwIfNoEntry: false })?.mtimeMs ?? 0);
      if (pid === "0" ? age > 5000 : !isLive({ pid: Number(pid), startTime }))
        rmSync(lock, { recursive: true, force: true });
      return false;
    }
  };
  await until("the other install ends", isOurs, { boundMs: installBoundMs, everyMs: 100 });
  try {
    writeFileSync(join(lock, "holder"), `${process.pid} ${statOf(process.pid)?.startTime}`);
    return action();
  } finally {
    rmSync(lock, { recursive: true, force: true });
  }
}

function holderOf(lock: string): string[] {
  try {
    return readFileSync(join(lock, "holder"), "latin1").split(" ");
  } catch {
    return [];
  }
}

/** What is wanted, or the reason to skip. In strict mode what is missing is a failure: an untested promise is no promise. */
export async function installOutside<T>(wanted: Wanted<T>): Promise<Installed<T>> {
  const directory = cacheDirectory(wanted);
  if (!isAskedFor && findIn(directory, wanted) === undefined)
    return {
      found: undefined,
      skip: `the published ${wanted.name} are not installed (HOLDFAST_TEST_PUBLISHED=1 downloads them)`,
    };
  mkdirSync(testCache(), { recursive: true });
  const problem = await alone(`${directory}.lock`, () =>
    findIn(directory, wanted) === undefined ? install(directory, wanted) : undefined,
  );
  const found = findIn(directory, wanted);
  if (found !== undefined) return { found, skip: false };
  const why = (problem ?? "the directory for them is another user's").slice(0, 200);
  const skip = `the ${wanted.name} are not installed: ${why}`;
  if (isStrict) throw new Error(skip);
  return { found: undefined, skip };
}
