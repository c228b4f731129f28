/** A systemd user manager is used where one answers, and costs a bounded time where it does not. Imitated here; test/systemd has a real one. */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { needsRoot } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { giveTo, tierSkip } from "../helpers/tiers.ts";
import { patiently } from "../helpers/until.ts";

/** A user's machine with the two commands of systemd as given. */
function imitate(home: Home, systemctl: string): Record<string, string> {
  const bin = join(home.directory, "bin");
  const runtime = join(home.directory, "runtime");
  mkdirSync(bin);
  mkdirSync(join(runtime, "systemd"), { recursive: true });
  writeFileSync(join(runtime, "systemd", "private"), "");
  writeFileSync(join(bin, "systemctl"), `#!/bin/sh\n${systemctl}\n`);
  const record = join(home.directory, "asked");
  writeFileSync(record, "");
  giveTo(home.tier, record);
  // Says what it was asked and by whom, and does what systemd-run --scope does last: it becomes the command.
  const run = `#!/bin/sh\necho "$$ $*" >>'${record}'\nwhile [ "$1" != -- ]; do shift; done\nshift\nexec "$@"\n`;
  writeFileSync(join(bin, "systemd-run"), run);
  for (const name of ["systemctl", "systemd-run"]) chmodSync(join(bin, name), 0o755);
  return { PATH: `${bin}:${process.env["PATH"] ?? ""}`, XDG_RUNTIME_DIR: runtime };
}

describe(
  "a delegated scope",
  { timeout: patiently(60_000), concurrency: 2, skip: tierSkip("subreaper") || needsRoot("a user of its own") },
  () => {
    leavesNothing();

    // Without root the tier is told by a variable, and who was told one asks for no other.
    it(
      "is asked for once, by the gateway's own pid, and what it gives is taken",
      { skip: needsRoot("a user of its own") },
      async () => {
        await using home = new Home("subreaper");
        await using gateway = await Gateway.start(home, [], imitate(home, "echo degraded; exit 1"));
        const lines = readFileSync(join(home.directory, "asked"), "utf8").trim().split("\n");
        assert.equal(lines.length, 1, "the imitation delegates nothing, and is not asked again");
        assert.match(lines[0] ?? "", new RegExp(`^${gateway.pids.keeper} --user --scope .*Delegate=yes -- .*gateway`));
      },
    );

    it("is done without when the manager does not answer: the start goes on after the bound", async () => {
      await using home = new Home("subreaper");
      await using gateway = await Gateway.start(home, [], imitate(home, "exec sleep 1000"));
      assert.ok(gateway.startMs >= 2000, `the manager was given its time (${gateway.startMs} ms)`);
      assert.equal(readFileSync(join(home.directory, "asked"), "utf8"), "");
    });
  },
);
