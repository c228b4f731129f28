/**
 * The real clients, installed once per version and user into a directory outside the tree and found again by later runs.
 * Their install scripts are not run: the tests start the programs that the scripts would only link.
 */
import { spawnSync } from "node:child_process";
import {
  copyFileSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { isLive, statOf } from "../../helpers/pids.ts";
import { until } from "../../helpers/until.ts";

export interface Clients {
  claude: string;
  codex: string;
}

interface Installed {
  clients: Clients;
  /** Why the tests are skipped, in one line; false when they are not. */
  skip: string | false;
}

const source = fileURLToPath(new URL("..", import.meta.url));
const files = ["package.json", "package-lock.json"];
/** 200 MB come over the network; a second test file waits for the first one's install. */
const installBoundMs = 240_000;

/** What npm says when nobody answers, as against a registry that answers with a refusal. */
const unreachable =
  /\b(?:ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT)\b/;

function cacheDirectory(): string {
  const { dependencies } = JSON.parse(readFileSync(join(source, "package.json"), "utf8")) as {
    dependencies: Record<string, string>;
  };
  const versions = Object.values(dependencies).join("-");
  return join(tmpdir(), `holdfast-clients-${process.getuid?.() ?? 0}-${versions}`);
}

/** The programs themselves, or undefined when this is no complete install of ours. */
function findClients(directory: string): Clients | undefined {
  // In a directory that all may write to, another user could have put programs under the name that is looked for.
  const owner = statSync(directory, { throwIfNoEntry: false })?.uid;
  if (owner === undefined || owner !== process.getuid?.()) return undefined;
  const find = (pattern: string) => globSync(pattern, { cwd: join(directory, "node_modules") })[0];
  const claude = find("@anthropic-ai/claude-code-*/claude");
  const codex = find("@openai/codex-*/vendor/*/bin/codex");
  if (claude === undefined || codex === undefined) return undefined;
  return { claude: join(directory, "node_modules", claude), codex: join(directory, "node_modules", codex) };
}

/** Installs beside and renames: whoever finds the directory finds all of it. Returns npm's last words when it fails. */
function install(directory: string): string | undefined {
  const fresh = mkdtempSync(`${directory}.`);
  try {
    for (const file of files) copyFileSync(join(source, file), join(fresh, file));
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
    if (findClients(fresh) === undefined) return `npm ci brought no programs for ${process.platform} ${process.arch}`;
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
  await until("the other install of the clients ends", isOurs, { boundMs: installBoundMs, everyMs: 100 });
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

/**
 * The clients, or the reason to skip. Under CI a missing client is a failure, for a promise that is never tested is no
 * promise; only a registry that cannot be reached from there is nobody's defect.
 */
export async function installClients(): Promise<Installed> {
  const directory = cacheDirectory();
  const problem = await alone(`${directory}.lock`, () =>
    findClients(directory) === undefined ? install(directory) : undefined,
  );
  const clients = findClients(directory);
  if (clients !== undefined) return { clients, skip: false };
  const skip = `the real clients are not installed: ${(problem ?? "the directory for them is another user's").slice(0, 200)}`;
  if (process.env["CI"] === "true" && !unreachable.test(problem ?? "")) throw new Error(skip);
  return { clients: { claude: "", codex: "" }, skip };
}
