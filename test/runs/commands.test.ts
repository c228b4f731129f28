/** The commands for background runs, as a shell sees them: output, exit codes, messages. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { text } from "node:stream/consumers";
import { after, before, describe, it } from "node:test";
import { Background } from "../helpers/background.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { mainFile } from "../helpers/program.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

leavesNothing();

describe("holdfast exec, process, logs, ps", { timeout: patiently(90_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  before(async () => {
    home = new Home(bestTier(), {
      exec: { enabled: true, allowDirectories: ["/"] },
      stop: { stdinGraceMs: 100, termGraceMs: 300 },
    });
    gateway = await Gateway.start(home);
  });
  after(async () => {
    await gateway.stop();
    await home[Symbol.asyncDispose]();
  });

  function begin(words: string[]) {
    const env = { PATH: process.env["PATH"] ?? "", HOME: home.directory, HOLDFAST_STATE: home.stateDir };
    return spawn(process.execPath, [mainFile, ...words], { cwd: home.directory, env, stdio: "pipe" });
  }

  async function run(words: string[], input = ""): Promise<{ code: number | null; stdout: string; stderr: string }> {
    const child = begin(words);
    child.stdin.on("error", () => {}); // a command that does not read its input
    child.stdin.end(input);
    const closed = once(child, "close");
    const [stdout, stderr] = await Promise.all([text(child.stdout), text(child.stderr)]);
    await closed;
    return { code: child.exitCode, stdout, stderr };
  }

  it("exec passes input, output, directory, variables and the exit code", async () => {
    const words = ["exec", "--env", "WORD=given", "--", "sh", "-c", "cat; pwd; echo $WORD $HOLDFAST_STATE; exit 7"];
    const { code, stdout } = await run(words, "piped in\n");
    assert.deepEqual([code, stdout], [7, `piped in\n${home.directory}\ngiven\n`]);
    assert.equal((await run(["exec", "--", "sh", "-c", "kill -9 $$"])).code, 137);
    const late = await run(["exec", "--timeout", "300", "--", "sleep", "1000"]);
    assert.equal(late.code, 143);
    assert.match(late.stderr, /run r\S+ ended: timeout, signal SIGTERM/);
  });

  it("exec keeps stdout and stderr apart, and logs does", async () => {
    const { stdout, stderr } = await run(["exec", "--", "sh", "-c", "echo out; echo err >&2"]);
    assert.deepEqual([stdout, stderr], ["out\n", "err\n"]);
    const listed = await new Background(gateway).call("run.list", { all: true });
    const apart = listed.find(({ command }) => command === "sh -c echo out; echo err >&2");
    const logged = await run(["logs", apart?.id ?? ""]);
    assert.deepEqual([logged.stdout, logged.stderr], ["out\n", "err\n"]);
  });

  it("exec runs at a terminal that was told no size", async () => {
    const inner = `stty rows 0 cols 0; '${process.execPath}' '${mainFile}' --state '${home.stateDir}' exec --pty -- stty size`;
    const { code, stdout } = await run(["exec", "--pty", "--", "sh", "-c", inner]);
    assert.equal(code, 0, stdout);
    assert.match(stdout, /24 80/);
  });

  it("exec loses no input, doubles none and ends it while the gateway's front is replaced", async () => {
    const child = begin(["exec", "--", "cat"]);
    const said = text(child.stdout);
    child.stdin.write("first\n");
    await once(child.stdout, "readable");
    const { front } = gateway.pids;
    process.kill(front, "SIGKILL");
    for (const word of ["second\n", "third\n"]) child.stdin.write(word);
    child.stdin.end("last\n");
    await once(child, "close");
    assert.deepEqual([child.exitCode, await said], [0, "first\nsecond\nthird\nlast\n"]);
    await gateway.renewed({ front });
  });

  it("exec ends its run, and says nothing, when nobody reads its output any more", async () => {
    const child = begin(["exec", "--", "sh", "-c", "echo first; read line; echo second; sleep 1000"]);
    const said = text(child.stderr);
    await once(child.stdout, "readable");
    child.stdout.destroy();
    child.stdin.write("go\n");
    await once(child, "exit");
    assert.deepEqual([child.exitCode, await said], [141, ""]);
    assert.deepEqual(await new Background(gateway).call("run.list", {}), []);
  });

  it("exec prints all of a long output", async () => {
    const { stdout } = await run(["exec", "--", "seq", "1000000"]);
    assert.equal(stdout.length, 6_888_896);
    assert.ok(stdout.endsWith("\n1000000\n"));
  });

  it("^C reaches the command, and a second one ends the run", async () => {
    const script = "trap 'echo caught' INT; echo ready; while :; do sleep 0.05; done";
    const child = begin(["exec", "--", "bash", "-c", script]);
    let said = "";
    child.stdout.on("data", (chunk: Buffer) => {
      said += chunk.toString();
    });
    await until("it is ready", () => said.includes("ready"), { boundMs: 10_000 });
    child.kill("SIGINT");
    await until("it has caught the signal", () => said.includes("caught"), { boundMs: 10_000 });
    child.kill("SIGINT");
    const [code] = (await once(child, "close")) as [number];
    assert.ok(code === 143 || code === 137, `exit code ${code}`);
    assert.deepEqual(await new Background(gateway).live(), []);
  });

  it("in the background the run's id is the last word; list, poll, write, logs -f, ps, wait and clear take it", async () => {
    const { stdout, stderr } = await run([
      "exec",
      "--background",
      "--scope",
      "job",
      "--",
      "bash",
      "-c",
      "sleep 1000 & sleep 1000 & cat",
    ]);
    const id = stdout.trim();
    assert.match(id, /^r\d+-[0-9a-f]{8}$/, "where stdout is no terminal it is the only word, for `id=$(…)`");
    assert.match(stderr, /process poll shows/);
    const refused = await run(["attach", id]);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, new RegExp(`run ${id} has no terminal.*logs -f ${id}`));
    assert.match((await run(["process", "list"])).stdout, new RegExp(`run ${id}  exec  scope job  running for`));
    const follower = begin(["logs", id, "-f"]);
    const followed = text(follower.stdout);
    await run(["process", "write", id, "--hex", "68690a"]);
    await run(["process", "submit", id, "there"]);
    assert.match((await run(["process", "poll", id, "--wait", "5000"])).stdout, /hi\n/);
    const seen = (await run(["ps"])).stdout;
    assert.match(seen, new RegExp(`run ${id}  exec  scope job  running  4 processes, .* printed, idle`));
    assert.match(seen, /2 × \(\d+ \d+\) .* sleep 1000/, "equal commands stand on one line");
    assert.match((await run(["process", "clear", id])).stderr, /has not ended/);
    const killed = await run(["process", "kill", id]);
    assert.match(killed.stdout, /ended: cancelled/);
    assert.equal(await followed, "hi\nthere\n", "who follows sees it all, and the end");
    assert.equal((await run(["process", "wait", id])).code, 0);
    assert.equal((await run(["logs", id, "--tail", "6"])).stdout, "there\n");
    assert.match((await run(["process", "list", "--all"])).stdout, new RegExp(`run ${id} .*ended: cancelled`));
    assert.equal((await run(["process", "clear", id])).code, 0);
    const unknown = await run(["process", "poll", id]);
    assert.equal(unknown.code, 1);
    assert.match(unknown.stderr, /no background run/);
  });

  it("what is wrong is said in one line, with exit code 1 or 2", async () => {
    for (const [words, code, message] of [
      [["exec", "--", "no-such-program"], 1, /no-such-program: no such program/],
      [["exec", "--cwd", "/not/there", "--", "true"], 1, /cwd: \/not\/there is not a directory/],
      [["exec", "--env", "NOVALUE", "--", "true"], 2, /NAME=VALUE/],
      [["exec", "--timeout", "soon", "--", "true"], 2, /whole number/],
      [["exec", "--host", "moon", "--", "true"], 1, /no node "moon"; `holdfast nodes list`/],
      [["process", "send-keys", "r1-nobody", "Entr"], 1, /no key "Entr"/],
      [["attach", "r1-nobody"], 1, /no background run/],
      [["logs", "r1-nobody", "--state", "/not/there"], 1, /no gateway runs on the state directory \/not\/there/],
      [["process", "resize", "r1-nobody", "80", "wide"], 2, /COLUMNS and ROWS are whole numbers, not 80 wide/],
    ] as const) {
      const refused = await run([...words]);
      assert.equal(refused.code, code, words.join(" "));
      assert.match(refused.stderr, message);
      assert.doesNotMatch(refused.stderr, /\n\s+at /);
    }
    assert.deepEqual(await new Background(gateway).live(), []);
  });
});
