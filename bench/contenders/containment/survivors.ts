/** The same stubborn tree under each contender: how many of its processes live on after a stop, and after the owner's kill -9. */
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { killWhatIsLeft, readListed, rememberList, settle, waitForListed } from "../../../test/helpers/pids.ts";
import { renderTable } from "../../../test/helpers/table.ts";

interface Contender {
  /** As host.ts knows it. */
  name: string;
  title: string;
  /** Says why it cannot run here; undefined when it can. */
  problem?: () => string | undefined;
  breaks: string;
}

const here = (name: string) => fileURLToPath(new URL(name, import.meta.url));
/** The leader, whose pid the contender knows, and four helpers. */
const treeProcesses = 5;
const openBoundMs = 10_000;
const stopBoundMs = 10_000;
/** What still lives so long after the end does not end any more. */
const settleMs = 2500;

/** The first line of what a program says when it fails, within 5 s. */
function failureOf(command: string, args: string[]): string | undefined {
  const { status, error, stderr } = spawnSync(command, args, { encoding: "utf8", timeout: 5000 });
  if (status === 0) return undefined;
  if (error !== undefined && "code" in error && error.code === "ENOENT") return "not installed";
  return stderr.trim().split("\n")[0] ?? "failed";
}

const bwrap = ["--unshare-pid", "--die-with-parent", "--dev-bind", "/", "/"];
const contenders: Contender[] = [
  { name: "spawn", title: "spawn and kill", breaks: "" },
  { name: "execa", title: "execa, cleanup", breaks: "" },
  {
    name: "execa-descendants",
    title: "execa, killDescendants",
    breaks: "^C at a terminal (a process group of its own)",
  },
  { name: "tree-kill", title: "tree-kill", breaks: "no goodbye; bare pids, from a list that is old when it is used" },
  { name: "sdk", title: "MCP SDK, StdioClientTransport", breaks: "" },
  { name: "setpriv", title: "setpriv --pdeathsig SIGKILL", breaks: "ends with the thread that forked; not inherited" },
  {
    name: "systemd-run",
    title: "systemd-run --user --scope",
    problem: () => failureOf("systemd-run", ["--user", "--scope", "--quiet", "true"]),
    breaks: "",
  },
  {
    name: "bwrap",
    title: "bwrap --unshare-pid --die-with-parent",
    problem: () => failureOf("bwrap", [...bwrap, "true"]),
    breaks:
      "sudo, su, ping (no new privileges); pids that others know; no goodbye; unprivileged where user namespaces are refused",
  },
  { name: "run", title: "holdfast run", breaks: "" },
  { name: "contain", title: "holdfast contain()", breaks: "" },
  { name: "transport", title: "holdfast ContainedStdioTransport", breaks: "" },
];

/** Survivors of one play; afterwards they are ended, each by pid and start time. */
async function play(name: string, ending: "stop" | "kill"): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  const pidFile = join(directory, "pids");
  writeFileSync(pidFile, "");
  using _list = rememberList(pidFile);
  const words = [here("host.ts"), name, "sh", here("stubborn-tree.sh"), pidFile];
  const host = spawn(process.execPath, words, { stdio: ["pipe", "pipe", "ignore"] });
  host.stdin.on("error", () => {}); // a host that was killed is written to no more
  const lines = createInterface({ input: host.stdout });
  const gone = once(host, "exit");
  try {
    await waitForListed(pidFile, treeProcesses, openBoundMs);
    if (ending === "stop") {
      const stopped = once(lines, "line", { signal: AbortSignal.timeout(stopBoundMs) });
      host.stdin.write("stop\n");
      await stopped;
    } else {
      host.kill("SIGKILL");
      await gone;
    }
    const { survivors } = await settle(pidFile, settleMs);
    return `${survivors.length} of ${readListed(pidFile).length}`;
  } finally {
    host.kill("SIGKILL");
    await gone;
    lines.close();
    await killWhatIsLeft(pidFile);
    rmSync(directory, { recursive: true, force: true });
  }
}

export async function survivorsTable(): Promise<string> {
  const rows: string[][] = [];
  for (const { name, title, problem, breaks } of contenders) {
    const why = problem?.();
    if (why !== undefined) rows.push([title, "–", "–", `cannot run here: ${why}`]);
    else rows.push([title, await play(name, "stop"), await play(name, "kill"), breaks]);
  }
  return renderTable(["", "after stop", "after the owner's kill -9", "what it breaks"], rows);
}
