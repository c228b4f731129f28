/** A home of its own for one client, and the list of what its servers started; when it is disposed of, nothing may be left. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { killWhatIsLeft } from "../../helpers/pids.ts";
import { mainFile } from "../../helpers/program.ts";
import { everythingFile, fixture } from "../../helpers/servers.ts";

export const boundMs = 20_000;

/** Nothing that is tested here needs a network; what a client tries all the same is refused at once. */
const offline = {
  HTTP_PROXY: "http://127.0.0.1:9",
  HTTPS_PROXY: "http://127.0.0.1:9",
  NO_PROXY: "127.0.0.1,localhost,::1",
  DISABLE_AUTOUPDATER: "1",
  DISABLE_TELEMETRY: "1",
  DISABLE_ERROR_REPORTING: "1",
  CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
};

export interface Words {
  command: string;
  args: string[];
}

/** How many processes the stubborn server lists, itself included. */
export const stubbornProcesses = 5;

export class Place implements AsyncDisposable {
  readonly directory = mkdtempSync(join(tmpdir(), "holdfast-client-"));
  readonly pidFile = join(this.directory, "pids");
  readonly #children: ChildProcess[] = [];

  constructor() {
    mkdirSync(join(this.directory, "tmp"));
    writeFileSync(this.pidFile, "");
  }

  /** `holdfast run` in front of a server, as a user writes it into a client's config. */
  wrap({ command, args }: Words): Words {
    return { command: process.execPath, args: [mainFile, "run", "--", command, ...args] };
  }

  /** server-everything as npx starts it, which puts npm and a shell between; it is listed by what it becomes. */
  everything(): Words {
    const words = ["sh", fixture("record.sh"), this.pidFile, "everything", process.execPath, everythingFile(), "stdio"];
    const line = words.map((word) => `'${word}'`).join(" ");
    return { command: "npx", args: ["--offline", "--no-update-notifier", "--no-install", "-c", line] };
  }

  /** Outlives the end of its stdin and every signal that can be ignored, with helpers that hide. */
  stubborn(): Words {
    return { command: process.execPath, args: [fixture("stubborn-server.ts"), this.pidFile] };
  }

  /** Never answers, so that a client that asks for the state of its servers is still at it when it is killed. */
  silent(): Words {
    return { command: "sh", args: [fixture("record.sh"), this.pidFile, "silent", "sleep", "900"] };
  }

  start(command: string, args: string[], env: Record<string, string> = {}): ChildProcess {
    const child = spawn(command, args, {
      cwd: this.directory,
      env: {
        ...offline,
        PATH: process.env["PATH"] ?? "",
        HOME: this.directory,
        XDG_CACHE_HOME: join(this.directory, ".cache"),
        TMPDIR: join(this.directory, "tmp"),
        CLAUDE_CODE_TMPDIR: join(this.directory, "tmp"),
        CLAUDE_CONFIG_DIR: join(this.directory, ".claude"),
        CODEX_HOME: this.directory,
        ...env,
      },
      stdio: ["pipe", "pipe", "pipe"],
    });
    // A client that is killed is written to no more; its end is looked at, not the pipe's.
    child.stdin.on("error", () => {});
    this.#children.push(child);
    return child;
  }

  /** Runs a client to its end and returns what it printed. */
  async run(command: string, args: string[]): Promise<string> {
    const child = this.start(command, args);
    child.stdin?.end();
    const timer = setTimeout(() => child.kill("SIGKILL"), boundMs);
    try {
      const closed = once(child, "close");
      const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!)]);
      await closed;
      assert.equal(
        child.exitCode,
        0,
        `${args.join(" ")} ended with ${child.exitCode ?? child.signalCode}: ${stderr}${stdout}`,
      );
      return stdout;
    } finally {
      clearTimeout(timer);
    }
  }

  /** kill -9, and the wait for its end. */
  async kill(child: ChildProcess): Promise<void> {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, "exit");
    child.kill("SIGKILL");
    await exited;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const child of this.#children) {
      await this.kill(child);
      for (const stream of child.stdio) stream?.destroy();
    }
    const left = await killWhatIsLeft(this.pidFile);
    rmSync(this.directory, { recursive: true, force: true, maxRetries: 5 });
    assert.equal(left, 0, "processes were left");
  }
}
