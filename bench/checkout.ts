/** Another commit of this repository, built in a temporary directory, to be measured beside this checkout. */
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { root } from "../test/helpers/tiers.ts";

export interface Checkout extends Disposable {
  /** Twelve digits of its commit. */
  commit: string;
  /** The compiled program. */
  mainFile: string;
}

function runIn(directory: string, command: string, args: string[]): string {
  const done = spawnSync(command, args, { cwd: directory, encoding: "utf8", maxBuffer: 1 << 26 });
  if (done.status === 0) return done.stdout.trim();
  const reason = done.error?.message ?? (done.stderr.trim() || done.stdout.trim());
  throw new Error(`${command} ${args.join(" ")}: ${reason}`);
}

/** Clones, installs and builds it; says on stderr what it is at. Throws when the commit is unknown or does not build. */
export function checkOut(revision: string): Checkout {
  const commit = runIn(root, "git", ["rev-parse", "--verify", "--end-of-options", `${revision}^{commit}`]);
  const directory = mkdtempSync(join(tmpdir(), "holdfast-guard-"));
  const remove = () => rmSync(directory, { recursive: true, force: true });
  try {
    console.error(`building ${commit.slice(0, 12)} …`);
    runIn(root, "git", ["clone", "--quiet", "--no-checkout", "--shared", root, directory]);
    runIn(directory, "git", ["checkout", "--quiet", "--detach", commit]);
    const isSameLock = ["package.json", "package-lock.json"].every(
      (file) => readFileSync(join(root, file), "utf8") === readFileSync(join(directory, file), "utf8"),
    );
    if (isSameLock) symlinkSync(join(root, "node_modules"), join(directory, "node_modules"));
    else runIn(directory, "npm", ["ci", "--no-audit", "--no-fund"]);
    runIn(directory, process.execPath, ["scripts/build.ts"]);
  } catch (error) {
    remove();
    throw error;
  }
  return { commit: commit.slice(0, 12), mainFile: join(directory, "dist/main.js"), [Symbol.dispose]: remove };
}
