/** The guardian of macOS, in every shell that could be its sh, with a ps that prints what Apple's does. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, afterEach, before, describe, it } from "node:test";
import { startGuardian } from "../../../src/platform/darwin/helpers.ts";
import type { Watchdog } from "../../../src/platform/types.ts";
import { needs } from "../../helpers/needs.ts";
import { leavesNothing } from "../../helpers/no-leaks.ts";
import { isLive, pidsByEnvironment, statOf } from "../../helpers/pids.ts";
import { fixture } from "../../helpers/servers.ts";
import { patiently, until } from "../../helpers/until.ts";

const boundMs = 10_000;
const shells = [
  ["dash", "dash"],
  ["busybox", "busybox", "sh"],
  ["bash", "bash", "--posix"],
] as const;

leavesNothing();
let directory = "";
before(() => {
  directory = mkdtempSync(join(tmpdir(), "holdfast-guardian-"));
  writeFileSync(join(directory, "ps"), `#!/bin/sh\nexec '${process.execPath}' '${fixture("macos-ps.ts")}' "$@"\n`, {
    mode: 0o755,
  });
});
after(() => rmSync(directory, { recursive: true }));

const children: ChildProcess[] = [];
afterEach(async () => {
  for (const child of children.splice(0)) {
    child.kill("SIGKILL");
    if (child.exitCode === null && child.signalCode === null) await once(child, "exit");
  }
});

/** A process of this test; it is ended with it. */
function start(script: string, env: Record<string, string> = {}): ChildProcess & { pid: number } {
  const child = spawn("sh", ["-c", script], { stdio: "ignore", env: { PATH: process.env["PATH"], ...env } });
  children.push(child);
  assert.ok(child.pid !== undefined);
  return child as ChildProcess & { pid: number };
}

const marked = (needle: string) => pidsByEnvironment((environment) => environment.includes(`HOLDFAST_RUN=${needle}`));

/** A tree that hides by a session of its own, by a parent that has ended, and by being stopped. */
const tree = `trap '' TERM HUP
  setsid sleep 1000 &
  (sleep 1000 &)
  sh -c 'kill -STOP $$' &
  while :; do sleep 0.01; done`;

for (const [name, command, ...flags] of shells)
  describe(
    `the guardian of macOS in ${[command, ...flags].join(" ")}`,
    {
      timeout: patiently(60_000),
      skip: needs(name),
    },
    () => {
      const owner = () => randomBytes(8).toString("hex");

      function guardian(marker: string, variables: Record<string, string> = {}): Watchdog & { lose: () => void } {
        const env = { PATH: `${directory}:/usr/bin:/bin`, LC_ALL: "C", ...variables };
        return startGuardian({ marker, shell: [command, ...flags], env });
      }

      it("ends everything with the marker when its keeper is gone, and nothing else", async () => {
        const own = owner();
        const env = { HOLDFAST_RUN: `/outer/x/${own}/r1-1` };
        start(tree, env);
        const other = start("exec sleep 1000", { HOLDFAST_RUN: `/outer/x/${own}/r2-1` });
        await until("the tree is there", () => marked(`/outer/x/${own}/r1-`).length >= 5, { boundMs });
        const watch = guardian(`/outer/x/${own}/r1-`);
        await watch.ready;
        watch.lose();
        assert.equal((await watch.exit).code, 0);
        assert.deepEqual(marked(`/outer/x/${own}/r1-`), []);
        assert.equal(isLive(other), true);
      });

      it("ends the front it was told of", async () => {
        const front = start("exec sleep 1000");
        const watch = guardian(`/${owner()}/r1-`);
        await watch.ready;
        watch.guard({ pid: front.pid, startTime: "", bootId: "" });
        watch.lose();
        await watch.exit;
        await until("the front is gone", () => !isLive(front), { boundMs });
      });

      it("spares a process that has the front's number and another start", async () => {
        const other = start("exec sleep 1000");
        const watch = guardian(`/${owner()}/r1-`, { PS_CHANGING: String(other.pid) });
        await watch.ready;
        watch.guard({ pid: other.pid, startTime: "", bootId: "" });
        watch.lose();
        await watch.exit;
        assert.equal(isLive(other), true);
      });

      it("does not take a ps that fails for one that finds nothing", async () => {
        const own = owner();
        const failures = join(directory, own);
        writeFileSync(failures, "..");
        const victim = start("exec sleep 1000", { HOLDFAST_RUN: `/${own}/r1-1` });
        const watch = guardian(`/${own}/r1-`, { PS_FAILURES: failures });
        await watch.ready;
        watch.lose();
        await watch.exit;
        assert.equal(readFileSync(failures, "latin1"), "");
        await until("it is gone", () => !isLive(victim), { boundMs });
      });

      it("loses a program of the system's own, whose environment ps withholds", async () => {
        const own = owner();
        const lost = start("exec sleep 1000", { HOLDFAST_RUN: `/${own}/r1-1` });
        await until("it is sleep", () => statOf(lost.pid)?.state === "S", { boundMs });
        const watch = guardian(`/${own}/r1-`, { PS_RESTRICTED: "sleep sh" });
        await watch.ready;
        watch.lose();
        await watch.exit;
        assert.equal(isLive(lost), true);
      });

      it("ends nothing when it is dismissed, and no polite signal ends it", async () => {
        const own = owner();
        const kept = start("exec sleep 1000", { HOLDFAST_RUN: `/${own}/r1-1` });
        const watch = guardian(`/${own}/r1-`);
        await watch.ready;
        for (const request of ["interrupt", "terminate", "hangup"] as const) watch.signal(request);
        watch.dismiss();
        assert.deepEqual(await watch.exit, { code: 0, signal: null, refused: null });
        assert.equal(isLive(kept), true);
      });
    },
  );
