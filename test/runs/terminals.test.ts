/** Real programs in terminals: typed at, resized, read as a person would see them, ended; and people who attach to them. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { Background } from "../helpers/background.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { needs } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { mainFile } from "../helpers/program.ts";
import { patiently, until } from "../helpers/until.ts";
import { giveTo, tierSkip } from "../helpers/tiers.ts";

const holdfast = [process.execPath, mainFile];

leavesNothing();

for (const tier of ["cgroup", "subreaper"] as const) {
  const skip = tierSkip(tier);
  describe(`programs in terminals on the ${tier} tier`, { timeout: patiently(120_000), skip }, () => {
    let home: Home;
    let gateway: Gateway;
    let background: Background;
    let directory: string;
    before(async () => {
      home = new Home(tier, { exec: { enabled: true }, stop: { stdinGraceMs: 500, termGraceMs: 500 } });
      directory = join(home.directory, "work");
      mkdirSync(directory);
      giveTo(tier, directory);
      gateway = await Gateway.start(home);
      background = new Background(gateway);
    });
    after(async () => {
      await gateway.stop();
      await home[Symbol.asyncDispose]();
    });

    const open = (argv: string[], env: Record<string, string> = {}) =>
      background.start({ kind: "pty", argv, cwd: directory, env: { HOME: directory, ...env } }).then(({ id }) => id);
    const keys = (id: string, ...pressed: string[]) => background.call("run.sendKeys", { id, keys: pressed });
    const type = (id: string, text: string) => background.call("run.submit", { id, text });
    const shows = (id: string, text: string | RegExp) =>
      background.screen(id, (lines) =>
        typeof text === "string" ? lines.join("\n").includes(text) : text.test(lines.join("\n")),
      );
    const gone = async (id: string) => {
      const { endReason } = await background.call("run.kill", { id });
      assert.match(endReason ?? "", /cancelled|exited/);
      assert.ok(!(await background.live()).some((run) => run.id === id));
    };

    it("bash has job control: its own groups, ^Z, fg, ^C, and the terminal's size", async () => {
      const id = await open(["bash", "--norc", "-i"], { PS1: "> " });
      await type(id, "stty size; sleep 1000");
      await shows(id, "24 80");
      await keys(id, "C-z");
      await shows(id, /\[1\]\+ +Stopped +sleep 1000/);
      await background.call("run.resize", { id, columns: 100, rows: 30 });
      await type(id, "clear; stty size; fg");
      await shows(id, /30 100\nsleep 1000/);
      await keys(id, "C-c");
      await type(id, "echo over $?");
      await shows(id, "over 130");
      await type(id, "exit 7");
      const ended = await background.ended(id);
      assert.deepEqual([ended.endReason, ended.exitCode], ["exited", 7]);
    });

    it("people attach: two at once see the same, type, resize, and leave without ending anything", async () => {
      const id = await open(["bash", "--norc", "-i"], { PS1: "inner> " });
      await shows(id, "inner>");
      const attach = [...holdfast, "attach", id, "--state", home.stateDir];
      const [one, two] = [await open(attach), await open(attach)];
      await shows(one, "inner>");
      await shows(two, "inner>");
      await type(one, "echo from-$((40 + 2))");
      await shows(two, "from-42");
      await shows(id, "from-42");
      await background.call("run.resize", { id: two, columns: 91, rows: 31 });
      await background.screen(id, (lines) => lines.length === 31);
      await type(two, "stty size");
      await shows(one, "31 91");
      await keys(one, "C-]");
      const left = await background.ended(one);
      assert.deepEqual([left.endReason, left.exitCode], ["exited", 0]);
      assert.match(await background.output(one), /detached; run r\S+ goes on/);
      await type(two, "exit");
      await background.ended(id);
      assert.equal((await background.ended(two)).exitCode, 0);
      assert.match(await background.output(two), /ended: exited, exit code 0/);
    });

    // What these need of Holdfast is the same on both tiers.
    if (tier !== "cgroup") return;

    it("vi edits a file", { skip: needs("vi") }, async () => {
      const id = await open(["vi", "-u", "NONE", "-N", "-c", "set showmode", "note.txt"]);
      await shows(id, "note.txt");
      // What is typed while it still starts may be thrown away.
      const inserts = async () => {
        await keys(id, "Escape", "i");
        const isShown = async () =>
          (await background.call("run.poll", { id, screen: true })).screen?.lines.join().includes("-- INSERT --");
        return until("the editor inserts", isShown, { boundMs: 1000 }).catch(() => false);
      };
      await until("the editor inserts", inserts, { boundMs: 15_000 });
      await background.call("run.paste", { id, text: "two words" });
      await background.screen(id, ([first]) => first === "two words");
      await keys(id, "Escape");
      // The cursor steps back: only then is the next key a command, and not a part of Escape's sequence.
      const steppedBack = async () =>
        (await background.call("run.poll", { id, screen: true })).screen?.cursor.column === 8;
      await until("the editor has left its insert mode", steppedBack, { boundMs: 5000 });
      await keys(id, "0", "x");
      await background.screen(id, ([first]) => first === "wo words");
      await background.call("run.resize", { id, columns: 60, rows: 20 });
      await background.screen(id, (lines) => lines.length === 20 && lines[0] === "wo words");
      await type(id, ":wq");
      assert.equal((await background.ended(id)).exitCode, 0);
      assert.equal(readFileSync(join(directory, "note.txt"), "utf8"), "wo words\n");
    });

    it("top draws, and ends by its key", { skip: needs("top") }, async () => {
      const id = await open(["top", "-d", "1"]);
      await shows(id, /PID .*COMMAND/);
      await keys(id, "q");
      assert.equal((await background.ended(id)).exitCode, 0);
    });

    it("a python prompt computes, and is ended in the middle of it", { skip: needs("python3") }, async () => {
      const id = await open(["python3", "-q"]);
      await shows(id, ">>>");
      await type(id, "6 * 7");
      await shows(id, /^42$/m);
      await type(id, "while True: pass");
      await type(id, "");
      await keys(id, "C-c");
      await shows(id, "KeyboardInterrupt");
      await gone(id);
    });

    it("tmux inside a run leaves no server behind", { skip: needs("tmux") }, async () => {
      const id = await open(["tmux", "-L", "holdfast-test", "-f", "/dev/null", "new-session", "-s", "inner"]);
      await shows(id, "[inner]");
      await type(id, "echo in-$((1 + 1))");
      await shows(id, "in-2");
      const [run] = (await background.live()).filter((each) => each.id === id);
      assert.ok((run?.processes.length ?? 0) >= 3, "client, server and shell are all seen");
      await gone(id);
    });

    it("npm init asks, and takes answers", async () => {
      const id = await open(["npm", "init"]);
      await shows(id, "package name:");
      await type(id, "typed-name");
      await shows(id, "version:");
      for (const question of [
        "description:",
        "entry point:",
        "test command:",
        "git repository:",
        "keywords:",
        "author:",
        "license:",
      ]) {
        await keys(id, "Enter");
        await shows(id, question);
      }
      await gone(id);
    });
  });
}
