/** The trees that the self-test plays on macOS, played here: each is complete and hides as it says. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import { serverProcesses, treesOf } from "../../src/selftest/trees.ts";
import { needs } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { killWhatIsLeft, readListed, statOf } from "../helpers/pids.ts";
import { readUntil } from "../helpers/read-until.ts";
import { patiently } from "../helpers/until.ts";

let place = "";
before(() => {
  place = mkdtempSync(join(tmpdir(), "holdfast-unix-trees-"));
});
after(() => rmSync(place, { recursive: true }));

interface Hidden {
  pid: number;
  parent: number;
  session: number;
  group: number;
  state: string;
  environment: string;
  command: string;
}

function look(pid: number): Hidden {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  const [state = "", parent, group, session] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const [environment = "", command = ""] = ["environ", "cmdline"].map((name) =>
    readFileSync(`/proc/${pid}/${name}`, "latin1"),
  );
  return { pid, parent: Number(parent), group: Number(group), session: Number(session), state, environment, command };
}

const trees = treesOf.macos;
const marked = { PATH: process.env["PATH"], HOLDFAST_RUN: "mark" };

/** What each way makes of the hidden process, beside its leader. */
const shows: Record<string, (hidden: Hidden, leader: Hidden) => boolean> = {
  group: (hidden, leader) => hidden.group !== leader.group && hidden.session === leader.session,
  setsid: (hidden, leader) => hidden.session === hidden.pid && hidden.parent === leader.pid,
  "double-fork": (hidden, leader) => hidden.parent !== leader.pid && hidden.environment.includes("HOLDFAST_RUN="),
  cleared: (hidden, leader) => hidden.parent === leader.pid && !hidden.environment.includes("HOLDFAST_RUN="),
  "cleared-double-fork": (hidden, leader) => hidden.parent !== leader.pid && hidden.environment === "",
  "late-exec": (hidden, leader) => hidden.parent !== leader.pid && /\0hidden\0/.test(hidden.command),
  disowned: (hidden, leader) => hidden.parent !== leader.pid,
  stopped: ({ state }) => state === "T",
  deaf: (hidden, leader) => hidden.parent === leader.pid,
  "zombie-parent": ({ pid }) => readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1") !== "",
  "holds-stdout": () => true,
  chain: () => true,
};

describe("a tree for macOS", { timeout: patiently(120_000), skip: needs("bash") }, () => {
  leavesNothing();

  it("is there for every way that macOS has", () => {
    const played = trees.attacks.filter(({ lacking }) => lacking === undefined).map(({ name }) => name);
    assert.deepEqual(played.toSorted(), Object.keys(shows).toSorted());
  });

  for (const [name, isHidden] of Object.entries(shows)) {
    it(`hides by: ${name}`, async () => {
      const file = join(place, `${name}.pids`);
      writeFileSync(file, "");
      const [command = "", ...words] = trees.attack(name, file, place);
      const child = spawn(command, words, { stdio: ["pipe", "pipe", "inherit"], env: marked, detached: true });
      const exited = once(child, "exit");
      try {
        await readUntil(child.stdout, "ready");
        const [leader, hidden] = readListed(file);
        assert.ok(leader !== undefined && hidden !== undefined);
        assert.equal(leader.pid, child.pid);
        for (const one of name === "chain" ? [] : [leader, hidden])
          if (one !== leader || name !== "holds-stdout") assert.equal(statOf(one.pid)?.startTime, one.startTime);
        if (name !== "chain" && name !== "holds-stdout")
          assert.ok(isHidden(look(hidden.pid), look(leader.pid)), JSON.stringify([look(hidden.pid), look(leader.pid)]));
      } finally {
        child.kill("SIGKILL");
        await killWhatIsLeft(file);
        await exited;
      }
    });
  }

  it("is an MCP server with five helpers, which answers once all are there", async () => {
    const file = join(place, "server.pids");
    writeFileSync(file, "");
    const [command = "", ...words] = trees.server(file);
    const child = spawn(command, words, { stdio: ["pipe", "pipe", "inherit"], detached: true });
    const exited = once(child, "exit");
    try {
      child.stdin.write('{"jsonrpc":"2.0","id":7,"method":"initialize"}\n');
      const [line] = (await once(createInterface({ input: child.stdout }), "line")) as [string];
      assert.equal((JSON.parse(line) as { id: number }).id, 7);
      const roles = readListed(file).map(({ role }) => role);
      assert.equal(roles.length, serverProcesses);
      assert.ok(roles.includes("cleared-double-forked"), roles.join(" "));
    } finally {
      child.kill("SIGKILL");
      await killWhatIsLeft(file);
      await exited;
    }
  });
});
