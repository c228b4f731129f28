/** The guardian's script, under each shell: what it hears, and what it does when its keeper is gone. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { RealJobFiles } from "../../../src/platform/darwin/job-files.ts";
import type { GuardianPlace } from "../../../src/platform/darwin/job.ts";
import { readPlist } from "../../fixtures/launchd/read-plist.ts";
import { needs } from "../../helpers/needs.ts";
import { leavesNothing } from "../../helpers/no-leaks.ts";

const shells = [["dash"], ["busybox", "sh"], ["bash", "--posix"]] as const;
const directory = mkdtempSync(join(tmpdir(), "holdfast guardian's-"));
const swept = join(directory, "swept");
/** Says that it was run, with its last arguments, and ends with the code in the file `code`. */
const sweeper = join(directory, "sweeper");
writeFileSync(sweeper, `echo "$@" >'${swept.replaceAll("'", String.raw`'\''`)}'; exit "$(cat "$1")"\n`);
const code = join(directory, "code");
const files = new RealJobFiles(join(directory, "jobs"), ["/bin/sh", sweeper, code, "owner"]);
after(() => rmSync(directory, { recursive: true }));

interface Begun {
  readonly place: GuardianPlace;
  /** Resolves with its exit code. */
  readonly exit: Promise<unknown>;
  readonly hello: Promise<number>;
  readonly kill: () => void;
}

for (const shell of shells) {
  const begin = (place = files.makeGuardian("holdfast.owner.guardian-1", "guardian-1")): Begun => {
    rmSync(swept, { force: true });
    writeFileSync(code, "0");
    const { words, isKept } = readPlist(readFileSync(place.propertyList, "utf8"));
    assert.equal(isKept, true);
    const line = words.flatMap((word, index) => (word === "/bin/sh" && index < 3 ? [...shell] : [word]));
    const hello = new Promise<number>((resolve) => place.onHello(resolve));
    const child = spawn(line[0] ?? "", line.slice(1), { stdio: "ignore", detached: true });
    return {
      place,
      hello,
      exit: once(child, "exit").then(([exitCode, signal]: unknown[]) => exitCode ?? signal),
      kill: () => void child.kill("SIGKILL"),
    };
  };

  describe(`the guardian's script under ${shell.join(" ")}`, { skip: needs(shell[0]) }, () => {
    leavesNothing();

    it("ends with 0 when it is dismissed, and has swept nothing", async () => {
      const { place, exit, hello } = begin();
      await hello;
      place.tell("front 12 34.56");
      place.tell("done");
      assert.equal(await exit, 0);
      assert.equal(existsSync(swept), false);
      place.remove();
    });

    it("sweeps when its keeper is gone, and names the last front that it heard of", async () => {
      const { place, exit, hello } = begin();
      await hello;
      place.tell("front 1 1.1");
      place.tell("front 12 34.56");
      place.remove(); // as the end of the keeper does: its end of the line is closed
      assert.equal(await exit, 0);
      assert.equal(readFileSync(swept, "utf8"), `${code} owner 12 34.56\n`);
    });

    it("ends with another code when something is left, so that launchd starts it again", async () => {
      const { place, exit, hello } = begin();
      await hello;
      writeFileSync(code, "1");
      place.remove();
      assert.equal(await exit, 1);
      assert.equal(readFileSync(swept, "utf8"), `${code} owner\n`);
    });

    it("goes on watching when it is started again, and ends at once when there is nothing to watch", async () => {
      const first = begin();
      await first.hello;
      first.kill();
      assert.equal(await first.exit, "SIGKILL");
      const second = begin(first.place);
      assert.notEqual(await second.hello, await first.hello);
      const { propertyList } = first.place;
      const words = readPlist(readFileSync(propertyList, "utf8")).words;
      first.place.tell("done");
      assert.equal(await second.exit, 0);
      first.place.remove();
      const late = spawn(words[0] ?? "", words.slice(1), { stdio: "ignore" });
      assert.equal((await once(late, "exit"))[0], 0);
      assert.equal(existsSync(swept), false);
    });
  });
}
