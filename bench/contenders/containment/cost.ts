/** What a container costs: memory of its shells for each run, and time from spawn to first byte beside a plain spawn. */
import { spawn, type ChildProcess } from "node:child_process";
import { randomBytes } from "node:crypto";
import { once } from "node:events";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { registerChild } from "../../../src/platform/linux/own-children.ts";
import { platform } from "../../../src/platform/index.ts";
import type { Epoch, TierName } from "../../../src/platform/types.ts";
import { contain } from "../../../src/library/contain.ts";
import { renderTable } from "../../../test/helpers/table.ts";
import { until } from "../../../test/helpers/until.ts";
import { median } from "../../load.ts";
import { argumentsOf, treeOf } from "../../machine.ts";

const mainFile = fileURLToPath(new URL("../../../dist/main.js", import.meta.url));
/** Runs that stand at the same time; pages that they share count for each only in part. */
const standing = 20;
const aims = { pssMegabytes: 0.5, rssMegabytes: 3, moreMs: 3 };
const endBoundMs = 5000;
const environment = () => ({ PATH: process.env["PATH"] ?? "" });

/** Kilobytes of one process: its share of what it uses (PSS), and all of it (RSS). */
function memoryOf(pid: number): { pss: number; rss: number } {
  const text = readFileSync(`/proc/${pid}/smaps_rollup`, "latin1");
  const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, "m").exec(text)?.[1] ?? 0);
  return { pss: field("Pss"), rss: field("Rss") };
}

const isCommand = (pid: number) => argumentsOf(pid).join(" ").startsWith("sleep 900");

/** The row of a kind of container: everything below its root but the command itself, for each run. */
function memoryRow(title: string, roots: readonly number[], expected: number): string[] {
  const shells = roots.map((root) => treeOf(root).filter((pid) => !isCommand(pid)));
  const wrong = shells.find((pids) => pids.length !== expected);
  if (wrong !== undefined) throw new Error(`${title}: ${wrong.length} processes for a run, not ${expected}`);
  const sums = shells.map((pids) =>
    pids.map(memoryOf).reduce((sum, one) => ({ pss: sum.pss + one.pss, rss: sum.rss + one.rss })),
  );
  const middle = (pick: (sum: { pss: number; rss: number }) => number) => (median(sums.map(pick)) / 1024).toFixed(2);
  return [title, String(expected), middle(({ pss }) => pss), middle(({ rss }) => rss)];
}

async function guardRow(directory: string): Promise<string[]> {
  const { epoch } = platform.open(randomBytes(8).toString("hex"), 1, { directory, only: "subreaper" });
  const containers = Array.from({ length: standing }, (_, index) =>
    epoch.create(`r1-${String(index).padStart(8, "0")}`),
  );
  try {
    const roots: number[] = [];
    for (const container of containers) {
      const { ref } = await container.spawn({ command: "sleep", args: ["900"], env: environment() });
      await until("the command", () => container.list().some(({ pid }) => isCommand(pid)), { boundMs: endBoundMs });
      roots.push(ref.pid);
    }
    return memoryRow("subreaper tier: guard, monitor", roots, 2);
  } finally {
    await Promise.all(containers.map((container) => container.end(endBoundMs)));
    epoch.close();
  }
}

async function libraryRow(): Promise<string[]> {
  const all = await Promise.all(Array.from({ length: standing }, () => contain("sleep", ["900"])));
  try {
    const isThere = () => all.every((one) => one.members().some(({ pid }) => isCommand(pid)));
    await until("the commands", isThere, { boundMs: endBoundMs });
    // The shell that the host started is two above the command: it, the guard, the command.
    const roots = all.map(({ pid }) => parentOf(parentOf(pid)));
    return memoryRow("contain(): outer shell, guard, monitor", roots, 3);
  } finally {
    await Promise.all(all.map((one) => one.kill()));
  }
}

function parentOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  return Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
}

async function wrapperRow(tier: TierName): Promise<string[]> {
  const children = Array.from({ length: standing }, () =>
    spawn(process.execPath, [mainFile, "run", "--", "sleep", "900"], {
      stdio: ["pipe", "pipe", "inherit"],
      env: { ...process.env, HOLDFAST_TIER: tier },
    }),
  );
  try {
    const pids = children.map(({ pid }) => pid ?? 0);
    await until("the commands", () => pids.every((pid) => treeOf(pid).some(isCommand)), {
      boundMs: 30_000,
      everyMs: 50,
    });
    if (tier === "subreaper") return memoryRow("holdfast run: shell, guard, monitor, pidfd waiter", pids, 4);
    return memoryRow("holdfast run in a cgroup: those and the cgroup launcher", pids, 5);
  } finally {
    await Promise.all(children.map(endOf));
  }
}

async function endOf(child: ChildProcess): Promise<void> {
  const exited = once(child, "exit");
  child.kill("SIGTERM");
  await exited;
}

const signed = (ms: number) => `${ms < 0 ? "" : "+"}${ms.toFixed(2)}`;

export async function memoryTable(tiers: readonly TierName[]): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  try {
    const aim = ["aim of the subreaper tier", "", `≤ ${aims.pssMegabytes}`, `≤ ${aims.rssMegabytes}`];
    const rows = [await libraryRow()];
    for (const tier of tiers.toReversed()) rows.push(await wrapperRow(tier));
    rows.push(await guardRow(directory), aim);
    return renderTable([`for each of ${standing} runs`, "processes", "PSS MB", "RSS MB"], rows);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

const echo = { command: "/bin/echo", args: ["first byte"] };

interface Starter {
  title: string;
  rounds: number;
  /** Milliseconds from the call to the first byte; afterwards what was started is ended. */
  once(): Promise<number>;
}

async function plainMs(command: string, args: readonly string[]): Promise<number> {
  const began = performance.now();
  const child = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });
  // Opening a tier makes this process take strangers' dead off the table; this one is no stranger.
  registerChild(child);
  const closed = once(child, "close");
  await once(child.stdout, "data");
  const ms = performance.now() - began;
  await closed;
  return ms;
}

async function tierMs(create: () => ReturnType<Epoch["create"]>): Promise<number> {
  const container = create();
  const began = performance.now();
  const { stdout } = await container.spawn({ ...echo, env: environment() });
  await once(stdout!, "data");
  const ms = performance.now() - began;
  await container.end(endBoundMs);
  return ms;
}

async function libraryMs(): Promise<number> {
  const began = performance.now();
  const contained = await contain(echo.command, echo.args);
  await once(contained.stdout!, "data");
  const ms = performance.now() - began;
  await contained.kill();
  return ms;
}

const quickRounds = 60;
const nodeRounds = 20;
/** Left out of the medians: the first ones compile the path. */
const warmUps = 5;

export async function startTable(tiers: readonly TierName[]): Promise<string> {
  const directory = mkdtempSync(join(tmpdir(), "holdfast-bench-"));
  const opened = tiers.map((tier) => ({
    tier,
    ...platform.open(randomBytes(8).toString("hex"), 1, { directory, only: tier }),
  }));
  let runs = 0;
  const starters: Starter[] = [
    { title: "child_process.spawn", rounds: quickRounds, once: () => plainMs(echo.command, echo.args) },
    ...opened.map(({ tier, epoch }) => ({
      title: `container, ${tier} tier`,
      rounds: quickRounds,
      once: () => tierMs(() => epoch.create(`r1-${(runs++).toString(16).padStart(8, "0")}`)),
    })),
    { title: "contain()", rounds: quickRounds, once: libraryMs },
    {
      title: "node -e, for comparison",
      rounds: nodeRounds,
      once: () => plainMs(process.execPath, ["-e", "console.log(1)"]),
    },
    {
      title: "holdfast run",
      rounds: nodeRounds,
      once: () => plainMs(process.execPath, [mainFile, "run", "--", echo.command, ...echo.args]),
    },
  ];
  const taken = starters.map((): number[] => []);
  try {
    // Interleaved, so that a noisy neighbour hurts all alike.
    for (let round = 0; round < quickRounds; round += 1) {
      for (const [index, starter] of starters.entries())
        if (round < starter.rounds) taken[index]?.push(await starter.once());
    }
  } finally {
    for (const { epoch } of opened.toReversed()) epoch.close();
    rmSync(directory, { recursive: true, force: true });
  }
  const middles = taken.map((values) => median(values.slice(warmUps)));
  const base = middles[0] ?? 0;
  const rows = starters.map(({ title }, index) => {
    const middle = middles[index] ?? 0;
    const aim = title.startsWith("contain") ? `< +${aims.moreMs}` : "";
    return [title, middle.toFixed(2), index === 0 ? "" : signed(middle - base), aim];
  });
  return renderTable(["spawn to first byte", "ms", "more than plain", "aim"], rows);
}
