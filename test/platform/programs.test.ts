/** The little programs, as the machine runs them; the cgroup launcher has a file of its own. */
import assert from "node:assert/strict";
import { spawn, spawnSync, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import type { Duplex } from "node:stream";
import { text as readText } from "node:stream/consumers";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { needs } from "../helpers/needs.ts";
import { root } from "../helpers/tiers.ts";
import { installProgram, programImage } from "../../src/platform/linux/programs.ts";

const directory = mkdtempSync(join(tmpdir(), "holdfast-programs-"));
after(() => rmSync(directory, { recursive: true }));

describe("the launcher", () => {
  const launcher = installProgram(directory, "launcher");

  it("makes what it starts a subreaper: an orphan's parent is it", () => {
    const script =
      "(setsid sh -c 'sleep 0.2; exec 3</proc/self/stat; read -r line <&3; set -- ${line##*) }; echo $2' &); sleep 0.05; echo $$; sleep 0.4";
    const lines = (command: string, args: string[]) =>
      spawnSync(command, args, { encoding: "utf8" }).stdout.trim().split("\n");
    const [own, parent] = lines(launcher, ["/bin/sh", "-c", script]);
    assert.equal(parent, own);
    const [plainOwn, plainParent] = lines("/bin/sh", ["-c", script]);
    assert.notEqual(plainParent, plainOwn, "without it the orphan goes to somebody else");
  });

  it("starts with every signal at its default", () => {
    const script = 'trap "" PIPE INT QUIT USR1; exec "$@"';
    const { stdout } = spawnSync("sh", ["-c", script, "sh", launcher, "/bin/grep", "SigIgn", "/proc/self/status"], {
      encoding: "utf8",
    });
    assert.match(stdout, /^SigIgn:\s+0+$/m);
  });

  it("ends with 127 for a program that is not there and 126 for one that cannot be run", () => {
    assert.equal(spawnSync(launcher, ["/no/such/program"]).status, 127);
    assert.equal(spawnSync(launcher, ["/etc/passwd"]).status, 126);
  });
});

describe("the pidfd waiter", () => {
  const waiter = installProgram(directory, "pidfd-waiter");
  // Descriptor 8 is where it speaks, 9 what it speaks of; when 5 ends, it writes to 3, which is a cgroup.kill.
  const stdio = ["ignore", "ignore", "ignore", "pipe", "ignore", "pipe", "ignore", "ignore", "pipe", "pipe"] as const;

  for (const [descriptor, said, killed] of [
    [9, "gone\n", ""],
    [5, "", "1"],
  ] as const) {
    it(`when descriptor ${descriptor} becomes readable it ${said === "" ? "kills" : "says so"} and ends`, async () => {
      const child = spawn(waiter, [], { stdio: [...stdio] });
      const pipes = child.stdio as unknown as (Duplex | null)[];
      let text = "";
      let kill = "";
      pipes[8]?.on("data", (chunk: Buffer) => (text += String(chunk)));
      pipes[3]?.on("data", (chunk: Buffer) => (kill += String(chunk)));
      // It never reads what makes a descriptor readable, so the system resets that pipe at its end.
      for (const pipe of pipes) pipe?.on("error", () => {});
      assert.equal(child.exitCode, null, "it waits");
      pipes[descriptor]?.end("x");
      const [code] = (await once(child, "close")) as [number];
      assert.equal(code, 0);
      assert.equal(text, said);
      assert.equal(kill, killed);
    });
  }
});

describe("the pump", () => {
  const native = installProgram(directory, "pump");
  const foreign = join(directory, "pump-arm64");
  writeFileSync(foreign, programImage("arm64", "pump") ?? "", { mode: 0o755 });

  for (const [name, words, skip] of [
    ["here", [native], false],
    ["on arm64, by qemu", ["qemu-aarch64-static", foreign], needs("qemu-aarch64-static")],
  ] as const) {
    it(
      `carries both ways whole while both are busy, and ends when the other side does (${name})`,
      { skip },
      async () => {
        using pump = new Pump(words);
        const size = 2_000_000;
        const read = (from: NodeJS.EventEmitter) =>
          new Promise<number>((resolve) => {
            let bytes = 0;
            from.on("data", (chunk: Buffer) => {
              bytes += chunk.length;
              if (bytes >= size) resolve(bytes);
            });
          });
        const both = Promise.all([read(pump.socket), read(pump.child.stdout!)]);
        pump.child.stdin!.write(Buffer.alloc(size, "u"));
        pump.socket.write(Buffer.alloc(size, "d"));
        assert.deepEqual(await both, [size, size]);
        pump.socket.destroy();
        assert.deepEqual(await pump.exit, [1, null]);
      },
    );

    it(
      `tells the end of stdin by one byte behind the rest, and goes on until the other side ends (${name})`,
      { skip },
      async () => {
        using pump = new Pump(words);
        pump.child.stdin!.end("question\n");
        let heard = "";
        for await (const chunk of pump.socket.iterator({ destroyOnReturn: false })) {
          heard += String(chunk);
          if (heard.includes("\x04")) break;
        }
        assert.equal(heard, "question\n\x04");
        const answer = readText(pump.child.stdout!);
        pump.socket.end("answer\n");
        assert.equal(await answer, "answer\n");
        assert.deepEqual(await pump.exit, [0, null]);
      },
    );

    it(`ends at once when nobody reads its stdout, before and after the end of stdin (${name})`, { skip }, async () => {
      for (const isEnded of [false, true]) {
        using pump = new Pump(words);
        pump.child.stdin!.write("question\n");
        await once(pump.socket, "data");
        if (isEnded) {
          pump.child.stdin!.end();
          assert.equal(String((await once(pump.socket, "data"))[0]), "\x04");
        }
        assert.equal(pump.child.exitCode, null, "it goes on");
        pump.child.stdout!.destroy();
        assert.deepEqual(await pump.exit, [0, null]);
      }
    });
  }

  it("ends with its client although the other side takes nothing", async () => {
    using stuck = new Pump([native]);
    stuck.socket.pause();
    stuck.child.stdin!.write(Buffer.alloc(4_000_000));
    await once(stuck.child.stdin!, "drain", { signal: AbortSignal.timeout(300) }).catch(() => {}); // nobody reads: it never comes
    stuck.child.stdin!.destroy();
    stuck.child.stdout!.destroy();
    assert.deepEqual(await stuck.exit, [0, null]);
  });
});

class Pump implements Disposable {
  readonly child: ChildProcess;
  readonly exit: Promise<unknown[]>;

  constructor(words: Iterable<string>) {
    const [command = "", ...args] = words;
    this.child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit", "pipe"] });
    this.exit = once(this.child, "exit");
    for (const end of [this.child.stdin!, this.child.stdout!, this.socket]) end.on("error", () => {}); // it may end first
  }

  get socket(): Duplex {
    return this.child.stdio[3] as Duplex;
  }

  [Symbol.dispose](): void {
    this.child.kill("SIGKILL");
    for (const end of [this.child.stdin!, this.child.stdout!, this.socket]) end.destroy();
  }
}

it("the programs exist for x64 and arm64, under 600 bytes each", () => {
  for (const arch of ["x64", "arm64"]) {
    for (const name of ["executor", "cgroup-launcher", "launcher", "pump", "pidfd-waiter"] as const)
      assert.ok((programImage(arch, name)?.length ?? 999) < 600 + 120);
  }
  assert.equal(programImage("mips", "launcher"), undefined);
});

it(
  "the committed programs are what their sources assemble to, byte for byte",
  {
    skip: needs("as", "aarch64-linux-gnu-as"),
  },
  () => {
    const { status, stderr } = spawnSync(process.execPath, [join(root, "scripts/programs.ts"), "--check"], {
      encoding: "utf8",
    });
    assert.deepEqual([stderr, status], ["", 0]);
  },
);

it("the launcher for arm64 runs under qemu", { skip: needs("qemu-aarch64-static") }, () => {
  const image = programImage("arm64", "launcher");
  const file = join(directory, "arm64");
  writeFileSync(file, image ?? "", { mode: 0o755 });
  const run = spawnSync("qemu-aarch64-static", [file, "/bin/echo", "hello"], { encoding: "utf8" });
  assert.equal(run.stdout, "hello\n");
});
