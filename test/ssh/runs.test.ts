/** A server on a far side is the same server: its words, bytes, environment and exit code; and what is wrong is said. */
import assert from "node:assert/strict";
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { isWhole, sample } from "../helpers/long.ts";
import { findProgram, needs, needsSshd } from "../helpers/needs.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { survivorsOf, waitForListed, waitForZero } from "../helpers/pids.ts";
import { asConfig, everything, fixture, stubborn } from "../helpers/servers.ts";
import { patiently, until } from "../helpers/until.ts";
import { boundMs, endSession, Place } from "./place.ts";

const echoOf = (answer: { result?: unknown }) => JSON.stringify(answer.result);

describe("a server on a far side", { skip: needsSshd(), timeout: patiently(240_000), concurrency: 3 }, () => {
  leavesNothing();

  it("gets its arguments, environment and directory as they are written, and nothing of them is in what ssh is told", async () => {
    await using place = await Place.make();
    const program = join(place.home.directory, "print.sh");
    const odd = 'it\'s "odd" $HOME `id` \\ ;*\n\tüñí';
    writeFileSync(
      program,
      `#!/bin/sh\nprintf '%s|' "$@" "$SECRET" "$PWD" >'${place.home.directory}/printed'\nexec sleep 1000\n`,
    );
    chmodSync(program, 0o755);
    const gateway = await place.serve({
      there: {
        command: program,
        args: [odd, "", "-n"],
        env: { SECRET: `s3cret ${odd}` },
        cwd: "/usr/bin",
        host: "ssh:far",
      },
    });
    using client = gateway.mcp("there");
    const opening = client.initialize().catch(() => undefined); // it never answers
    const printed = join(place.home.directory, "printed");
    const read = () => {
      try {
        return readFileSync(printed, "utf8");
      } catch {
        return undefined; // not there yet
      }
    };
    const shown = await until("what it printed", () => read() || undefined, { boundMs });
    assert.equal(shown, `${odd}||-n|s3cret ${odd}|/usr/bin|`);
    const lines = place.far.clients().map(({ pid }) => readFileSync(`/proc/${pid}/cmdline`, "latin1"));
    assert.equal(lines.length, 2);
    for (const line of lines) assert.doesNotMatch(line, /s3cret|print\.sh/);
    await gateway.stop();
    await opening;
  });

  it("carries 10 MB both ways unchanged, and small calls of others pass meanwhile", async () => {
    await using place = await Place.make();
    const there = { ...asConfig({ e: everything(place.home.pidFile) })["e"]!, host: "ssh:far" };
    const gateway = await place.serve({ big: there, small: there });
    using big = gateway.mcp("big");
    using small = gateway.mcp("small");
    await big.initialize();
    await small.initialize();
    const message = 'x\u00e9\u{1f600}\\"'.repeat(1_000_000).slice(0, 3_000_000);
    const carried = big.call("echo", { message }, 60_000);
    for (let count = 0; count < 10; count++) assert.match(echoOf(await small.call("echo", { message: "hi" })), /hi/);
    const answer = (await carried) as { result?: { content: { text: string }[] } };
    assert.ok(answer.result?.content[0]?.text.endsWith(message));
  });

  it("ends with its own exit code, and what is not there exits 127 with its reason in the run's log", async () => {
    await using place = await Place.make();
    const gateway = await place.serve({
      code: { command: "sh", args: ["-c", "exit 7"], host: "ssh:far" },
      none: { command: "no-such-program", host: "ssh:far" },
      nowhere: { command: "sh", cwd: "/no/such/place", host: "ssh:far" },
    });
    for (const [server, code] of [
      ["code", 7],
      ["none", 127],
      ["nowhere", 126],
    ] as const) {
      using client = gateway.mcp(server);
      await assert.rejects(client.initialize());
      const { endReason, exitCode } = await place.record(server);
      assert.deepEqual([endReason, exitCode], ["exited", code]);
    }
  });

  it("that is written as plain ssh is recognised and guarded; with sshGuard false it is not touched", async () => {
    await using place = await Place.make();
    const { command, args } = stubborn(place.home.pidFile);
    const words = ["-T", "-o", "BatchMode=yes", "far", command, ...args];
    const gateway = await place.serve({
      guarded: { command: "ssh", args: words },
      plain: { command: "ssh", args: ["far", "cat"], sshGuard: false },
    });
    using client = gateway.mcp("guarded");
    await client.initialize();
    await waitForListed(place.home.pidFile, 5, boundMs);
    const [run] = (await gateway.rpc("run.list", {})) as { host: string }[];
    assert.equal(run?.host, "ssh:-o BatchMode=yes far");
    await endSession(client, place.home.pidFile);
    using plain = gateway.mcp("plain");
    const opening = plain.initialize().catch(() => undefined); // cat answers with the question
    await until("plain ssh", () => place.far.clients().some(({ master }) => !master), { boundMs });
    const runs = (await gateway.rpc("run.list", {})) as { host: string; server: string }[];
    assert.equal(runs.find(({ server }) => server === "plain")?.host, "local");
    await gateway.stop();
    await opening;
  });

  it("shares one connection with the others up to the limit", async () => {
    await using place = await Place.make();
    const light = { command: "sh", args: [fixture("light-server.sh")], host: "ssh:far" };
    const gateway = await place.serve({ light }, { ssh: { runsPerConnection: 3 } });
    const clients = Array.from({ length: 7 }, () => gateway.mcp("light"));
    await Promise.all(clients.map((client) => client.initialize()));
    assert.equal(place.far.clients().filter(({ master }) => master).length, 3);
    const { hosts } = (await gateway.rpc("gateway.status")) as { hosts: { connections: number; runs: number }[] };
    assert.deepEqual([hosts[0]?.connections, hosts[0]?.runs], [3, 7]);
    for (const client of clients) {
      await client.delete();
      client[Symbol.dispose]();
    }
  });

  for (const shell of sample(["fish", "bash", "dash"] as const)) {
    it(`works whatever the login shell is: ${shell}`, { skip: needs(shell) }, async () => {
      const line = findProgram(shell);
      // sshd runs a forced command by the login shell's -c; this one hands the words on as that shell would get them.
      await using place = await Place.make({ sshd: [`ForceCommand exec ${line} -c "$SSH_ORIGINAL_COMMAND"`] });
      const { command, args } = stubborn(place.home.pidFile);
      const gateway = await place.serve({ there: { command, args, host: "ssh:far" } });
      using client = gateway.mcp("there");
      await client.initialize();
      await waitForListed(place.home.pidFile, 5, boundMs);
      await endSession(client, place.home.pidFile);
    });
  }

  for (const shell of sample(["busybox", "bash"] as const)) {
    it(`works whatever sh is: ${shell}`, { skip: needs(shell) }, async () => {
      const bin = mkdtempSync(join(tmpdir(), "holdfast-sh-"));
      symlinkSync(findProgram(shell) ?? shell, join(bin, "sh"));
      await using place = await Place.make({
        sshd: [`ForceCommand PATH=${bin}:$PATH; exec sh -c "$SSH_ORIGINAL_COMMAND"`],
      });
      const { command, args } = stubborn(place.home.pidFile);
      const gateway = await place.serve({ there: { command, args, host: "ssh:far" } });
      using client = gateway.mcp("there");
      await client.initialize();
      await waitForListed(place.home.pidFile, 5, boundMs);
      await endSession(client, place.home.pidFile);
      rmSync(bin, { recursive: true });
    });
  }
});

describe(
  "the environment on a far side",
  { skip: needsSshd() || needs("bash", "dash"), timeout: patiently(240_000) },
  () => {
    leavesNothing();

    // The login shell, with what its rc files start, is the user's own affair: bash -p hands on functions without taking them, dash options without obeying.
    for (const [what, loginShell] of [
      ["functions", "/bin/bash -p"],
      ["options and traces", "/bin/dash"],
    ] as const) {
      it(`steers no shell of ours where sh is bash, neither by the login's ${what} nor by the run's variables, and reaches the command`, async () => {
        const bin = mkdtempSync(join(tmpdir(), "holdfast-sh-"));
        const sign = join(bin, "steered");
        symlinkSync(existsSync("/bin/bash") ? "/bin/bash" : "/usr/bin/bash", join(bin, "sh"));
        const names = "kill read echo dd trap exec eval [ mkdir grep sleep cd wait unset".split(" ");
        const given =
          what === "functions"
            ? names.map((name) => `'BASH_FUNC_${name}%%=() { builtin echo ${name} >>${sign}; command ${name} "$@"; }'`)
            : ["SHELLOPTS=braceexpand:xtrace", `'PS4=$(builtin echo trace >>${sign})'`, `BASH_ENV=${bin}/env`];
        writeFileSync(join(bin, "env"), `echo env >>${sign}\n`);
        const login = `exec /usr/bin/env HOME=${bin} PATH=${bin}:$PATH ${given.join(" ")} ${loginShell} -c "$SSH_ORIGINAL_COMMAND"`;
        writeFileSync(join(bin, "login"), `#!/bin/dash\n${login}\n`, { mode: 0o755 });
        await using place = await Place.make({ sshd: [`ForceCommand ${join(bin, "login")}`] });
        const gateway = await place.serve({}, { exec: { enabled: true, allowHosts: ["ssh:far"] } });
        const file = join(bin, "env");
        const env = {
          PATH: `${bin}/none:/usr/bin:/bin`,
          BASH_ENV: file,
          ENV: file,
          PS4: "x",
          IFS: "0",
          LC_ALL: "no_SUCH",
        };
        const started = { host: "ssh:far", argv: ["env", "-0"], env, yieldMs: boundMs };
        const { id, exitCode } = (await gateway.rpc("run.start", started)) as { id: string; exitCode: number };
        const { text } = (await gateway.rpc("run.poll", { id })) as { text: string };
        assert.equal(exitCode, 0, text);
        assert.equal(existsSync(sign) ? readFileSync(sign, "utf8") : "", "");
        const got = text.split("\0");
        for (const [name, value] of Object.entries(env))
          assert.ok(got.includes(`${name}=${value}`), `${name}: ${text}`);
        const kept = what === "functions" ? "BASH_FUNC_kill%%=() {" : "HOLDFAST_FAR=/";
        assert.ok(
          got.some((entry) => entry.startsWith(kept)),
          text,
        );
        await gateway.stop();
        rmSync(bin, { recursive: true });
      });
    }

    it("is refused by name where no shell could hand a variable on", async () => {
      await using place = await Place.make();
      const gateway = await place.serve({}, { exec: { enabled: true, allowHosts: ["ssh:far"] } });
      for (const name of ["BASH_FUNC_exec%%", "SHELLOPTS", "UID", "RANDOM", "npm_config_//x/:_t"])
        await assert.rejects(
          gateway.rpc("run.start", { host: "ssh:far", argv: ["true"], env: { [name]: "1" } }),
          ({ message }: Error) => message.includes(JSON.stringify(name)) && message.includes("over ssh"),
        );
      await gateway.stop();
    });
  },
);

describe("a gateway that comes back", { skip: needsSshd(), timeout: patiently(240_000), concurrency: 2 }, () => {
  leavesNothing();

  it("ends on the far side what a life before left there, and says so", async () => {
    await using place = await Place.make();
    const { command, args } = stubborn(place.home.pidFile);
    const gateway = await place.serve({ there: { command, args, host: "ssh:far" } });
    using client = gateway.mcp("there");
    await client.initialize();
    await waitForListed(place.home.pidFile, 5, boundMs);
    // Everything here and over there that could act, in one instant.
    const guards = place.far.shells();
    assert.ok(guards.length >= 2, "the guardian, its monitor and the run's guard");
    const { keeper, front, guardian } = gateway.pids;
    gateway.killAtOnce([keeper, front, guardian, ...guards, ...place.far.clients().map(({ pid }) => pid)]);
    assert.ok(survivorsOf(place.home.pidFile).length > 0, "something was left to be swept");
    const next = await place.again();
    await waitForZero(place.home.pidFile, boundMs);
    const { endReason } = await place.record("there");
    assert.equal(endReason, "keeper-lost");
    await until(
      "nothing owed",
      async () => {
        const { hosts } = (await next.rpc("gateway.status")) as { hosts: { sweeping: boolean }[] };
        return hosts.every(({ sweeping }) => !sweeping);
      },
      { boundMs },
    );
  });

  it("has as many processes and connections after restarts as after one start: five servers, three over ssh", async () => {
    await using place = await Place.make();
    const { pidFile } = place.home;
    const near = asConfig({ good: everything(pidFile), bad: stubborn(pidFile) });
    const [good, bad] = [near["good"]!, near["bad"]!];
    const there = (server: object) => ({ ...server, host: "ssh:far" });
    const servers = { near1: good, near2: bad, far1: there(good), far2: there(bad), far3: there(bad) };
    const processes = 1 + 5 + 1 + 5 + 5;
    const starts = isWhole ? 5 : 2;
    let gateway = await place.serve(servers);
    for (let start = 1; start <= starts; start++) {
      for (const server of Object.keys(servers)) {
        using client = gateway.mcp(server);
        await client.initialize();
      }
      await waitForListed(pidFile, start * processes, boundMs);
      assert.equal(survivorsOf(pidFile).length, processes, `start ${start}`);
      assert.equal(place.far.clients().length, 1 + 3, `start ${start}`);
      assert.equal(place.far.sessions.length, 1, `start ${start}`);
      await gateway.stop();
      if (start < starts) gateway = await place.again();
    }
    await waitForZero(pidFile, 1000);
    await until("no connection", () => place.far.clients().length + place.far.sessions.length === 0, { boundMs });
  });
});
