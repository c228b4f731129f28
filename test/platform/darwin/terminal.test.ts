/** The terminals of macOS, by the same code over Linux's calls: only the constants differ. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import { terminalCalls, type TerminalCalls } from "../../../src/platform/darwin/terminal-calls.ts";
import { openTerminal, takeTerminalScript, type NamedEnd } from "../../../src/platform/darwin/terminal.ts";
import type { Terminal } from "../../../src/platform/types.ts";
import { leavesNothing } from "../../helpers/no-leaks.ts";
import { readUntil } from "../../helpers/read-until.ts";

const isLinux = process.platform === "linux";
const size = { columns: 91, rows: 37 };

/** A shell in a session of its own that takes the terminal, as a job does. */
function startIn({ end }: Terminal, script: string): ChildProcess {
  const { path, descriptor } = end as NamedEnd;
  return spawn("/bin/sh", ["-c", takeTerminalScript, path, "/bin/sh", "-c", script], {
    stdio: [descriptor, descriptor, descriptor],
    detached: true,
  });
}

/** FD_CLOEXEC as O_CLOEXEC in the kernel's own record of a descriptor. */
function isClosedOnExec(descriptor: number): boolean {
  const flags = /^flags:\s+(\d+)/m.exec(readFileSync(`/proc/self/fdinfo/${descriptor}`, "latin1"))?.[1] ?? "";
  return (Number.parseInt(flags, 8) & 0o2_000_000) !== 0;
}

describe("a terminal of macOS", { skip: !isLinux && "its calls are those of Linux here" }, () => {
  leavesNothing();

  it("has its size, UTF-8 editing and a command that it controls", async () => {
    const terminal = openTerminal(size, terminalCalls("linux"));
    const child = startIn(terminal, 'stty size; stty -a; tty; : </dev/tty && echo "controlled"');
    terminal.release();
    const output = await readUntil(terminal.output, "controlled");
    assert.match(output, /^37 91\r$/m);
    assert.match(output, / iutf8/);
    assert.ok(output.includes(`${(terminal.end as NamedEnd).path}\r\n`));
    if (child.exitCode === null) await once(child, "exit");
    terminal.close();
  });

  it("tells the command of a new size, and types to it", async () => {
    const terminal = openTerminal(size, terminalCalls("linux"));
    const script = "trap 'stty size; exit 0' WINCH; read -r typed; echo \"heard $typed\"; while :; do sleep 0.01; done";
    const child = startIn(terminal, script);
    terminal.release();
    assert.equal(terminal.write(Buffer.from("words\n")), 6);
    await readUntil(terminal.output, "heard words");
    terminal.resize({ columns: 20, rows: 10 });
    await readUntil(terminal.output, "10 20");
    if (child.exitCode === null) await once(child, "exit");
    terminal.close();
    assert.equal(terminal.write(Buffer.from("nothing")), 7, "a closed terminal accepts everything");
  });

  it("keeps both ends out of other processes", () => {
    const terminal = openTerminal(size, terminalCalls("linux"));
    const { descriptor } = terminal.end;
    const own = [descriptor - 1, descriptor].filter((each) => isClosedOnExec(each));
    assert.deepEqual(own, [descriptor - 1, descriptor]);
    terminal.close();
  });

  it("ends its output when the command's end is closed everywhere", async () => {
    const terminal = openTerminal(size, terminalCalls("linux"));
    const child = startIn(terminal, "echo bye");
    terminal.release();
    const closed = new Promise<void>((resolve) => terminal.output.once("close", resolve));
    terminal.output.resume();
    await closed;
    if (child.exitCode === null) await once(child, "exit");
    terminal.close();
  });

  it("leaves no descriptor when the system refuses a call", () => {
    const refusing: TerminalCalls = {
      ...terminalCalls("linux"),
      resize() {
        throw new Error("the system refuses TIOCSWINSZ");
      },
    };
    assert.throws(() => openTerminal(size, refusing), /cannot open a terminal: the system refuses TIOCSWINSZ/);
  });
});
