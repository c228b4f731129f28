/** The readable report of an examination: the verdict first, then who holds what, then the rest. */
import type { Report, TreeView } from "../doctor/examine.ts";
import type { PortEnd, PortView } from "../doctor/ports.ts";
import type { Reaped } from "../doctor/reap.ts";
import { align, count, duration, megabytes, plainView } from "./print.ts";

/** Longest command shown, in characters. */
const commandMax = 72;
/** Most pids on one line. */
const pidsMax = 12;
/** Most connections of a port listed one by one. */
const connectionsMax = 30;

interface View {
  /** Each tree with all evidence. */
  all: boolean;
  /** The orphans are about to be ended: omit the advice. */
  willReap: boolean;
}

type Paint = (text: string, code: number) => string;

/** Colours only on a terminal without NO_COLOR. */
function painter(): Paint {
  const isColoured = process.stdout.isTTY && (process.env["NO_COLOR"] ?? "") === "" && process.env["TERM"] !== "dumb";
  return isColoured ? (text, code) => `\x1b[${code}m${text}\x1b[0m` : (text) => text;
}

const red = 31;
const green = 32;
const yellow = 33;
const bold = 1;
const dim = 2;

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);
const size = (bytes: number) => (bytes < 1024 ** 3 ? megabytes(bytes) : `${(bytes / 1024 ** 3).toFixed(1)} GB`);
const clip = (text: string) => (text.length <= commandMax ? text : `${text.slice(0, commandMax - 1)}…`);

function figures(trees: readonly TreeView[]): string {
  const processes = sum(trees.map((tree) => tree.processes.length));
  return `${count(processes, "process", "processes")}, ${size(sum(trees.map(({ rssBytes }) => rssBytes)))}`;
}

function pidList(pids: readonly number[]): string {
  const shown = pids.slice(0, pidsMax).join(" ");
  return pids.length > pidsMax ? `${shown} … (${pids.length - pidsMax} more)` : shown;
}

function headline(trees: readonly TreeView[], view: View, paint: Paint): string[] {
  const orphans = trees.filter(({ verdict }) => verdict === "owner-dead");
  const rest = trees.filter(({ verdict }) => verdict !== "owner-dead");
  const others = rest.length === 0 ? "" : `${count(rest.length, "other tree")}: ${figures(rest)}.`;
  if (trees.length === 0) return [paint("No MCP server runs here.", green)];
  if (orphans.length === 0)
    return [
      `${paint("No tree is proven to have lost its owner.", green)} ${count(trees.length, "tree")}: ${figures(trees)}.`,
    ];
  const advice = view.willReap
    ? ""
    : ` ${paint("`holdfast doctor --reap`", bold)} ends ${orphans.length === 1 ? "it" : "them"}.`;
  const what = `${count(orphans.length, "tree")} without an owner: ${figures(orphans)}.`;
  return [`${paint(what, red)}${advice}`, ...(others === "" ? [] : [others])];
}

const verdictWords: Record<TreeView["verdict"], string> = {
  "owner-dead": "owner dead",
  "in-use": "in use",
  idle: "idle",
  unknown: "unknown",
};
const verdictColours: Record<TreeView["verdict"], number> = {
  "owner-dead": red,
  "in-use": green,
  idle: dim,
  unknown: yellow,
};

function ownerLine(trees: readonly TreeView[]): string {
  const { verdict, owner } = trees[0] as TreeView;
  if (verdict === "owner-dead") return "owner provably dead";
  if (owner === null) return "owner unknown";
  const name = owner.client === null ? clip(owner.command) : `${owner.client} (${clip(owner.command)})`;
  return `pid ${owner.pid}  ${name}`;
}

/** One line for all trees of one owner with the same command and state. */
function rowsOf(trees: readonly TreeView[], now: number): { cells: string[]; verdict: TreeView["verdict"] }[] {
  const groups = new Map<string, TreeView[]>();
  for (const tree of trees) {
    const key = `${tree.verdict} ${tree.command}`;
    groups.set(key, [...(groups.get(key) ?? []), tree]);
  }
  return [...groups.values()]
    .toSorted((first, second) => second.length - first.length)
    .map((same) => {
      const [first] = same as [TreeView];
      const oldest = Math.min(...same.map(({ startedAt }) => startedAt));
      const cells = [
        verdictWords[first.verdict],
        same.length === 1 ? `pid ${first.root.pid}` : `${same.length} copies`,
        duration(Math.max(0, now - oldest)),
        count(sum(same.map(({ processes }) => processes.length)), "process", "processes"),
        size(sum(same.map(({ rssBytes }) => rssBytes))),
        `cpu ${duration(sum(same.map(({ cpuMs }) => cpuMs)))}`,
        clip(first.command),
      ];
      return { cells, verdict: first.verdict };
    });
}

function groupByOwner(trees: readonly TreeView[]): TreeView[][] {
  const groups = new Map<string, TreeView[]>();
  for (const tree of trees) {
    const key = tree.verdict === "owner-dead" ? "dead" : tree.owner === null ? "unknown" : String(tree.owner.pid);
    groups.set(key, [...(groups.get(key) ?? []), tree]);
  }
  const rank = ([first]: TreeView[]) => (first?.verdict === "owner-dead" ? 0 : first?.owner === null ? 1 : 2);
  return [...groups.values()].toSorted((first, second) => rank(first) - rank(second) || second.length - first.length);
}

function describeTrees({ trees, takenAt }: Report, view: View, paint: Paint): string[] {
  const groups = groupByOwner(trees).map((group) => ({ group, rows: rowsOf(group, takenAt) }));
  // Aligned across all groups.
  const aligned = align(groups.flatMap(({ rows }) => rows.map(({ cells }) => cells))).values();
  return groups.flatMap(({ group, rows }) => {
    const lines = rows.map(({ verdict }) => {
      const [first = "", ...rest] = aligned.next().value ?? [];
      return `  ${paint(first, verdictColours[verdict])}  ${rest.join("  ").trimEnd()}`;
    });
    const head = [
      `${paint(ownerLine(group), bold)}  ${paint(`${count(group.length, "tree")}, ${figures(group)}`, dim)}`,
    ];
    const body = view.all ? group.flatMap((tree) => describeTree(tree, takenAt, paint)) : lines;
    // Unknown verdicts give each reason once.
    const reasons = view.all
      ? []
      : [
          ...new Set(
            group
              .filter(({ verdict }) => verdict === "unknown")
              .map(({ root, doubts }) => `    pid ${root.pid}: ${doubts[0]}`),
          ),
        ];
    const shown = reasons.slice(0, 3).map((line) => paint(line, dim));
    const more = reasons.length > 3 ? [paint(`    … ${reasons.length - 3} more: --all`, dim)] : [];
    return ["", ...head, ...body, ...shown, ...more];
  });
}

function describeTree(tree: TreeView, now: number, paint: Paint): string[] {
  const title = `  ${paint(verdictWords[tree.verdict], verdictColours[tree.verdict])}  pid ${tree.root.pid}  ${duration(Math.max(0, now - tree.startedAt))}  ${figures([tree])}  ${tree.command}`;
  const facts = [...(tree.recognised === null ? [] : [tree.recognised]), ...tree.evidence];
  return [
    title,
    ...facts.map((line) => paint(`      ${line}`, dim)),
    ...tree.doubts.map((line) => paint(`      not proven: ${line}`, yellow)),
    ...tree.processes.map((one) =>
      paint(
        `      ${one.pid} ← ${one.ppid}  ${one.state}  ${megabytes(one.rssBytes)}  ${clip(one.command)}${one.tie === null ? "" : `  (${one.tie})`}`,
        dim,
      ),
    ),
  ];
}

const describeEnd = ({ address, port, pids, command, state }: PortEnd) =>
  `${address.includes(":") ? `[${address}]` : address}:${port} ${state ?? "elsewhere"}${pids.length === 0 ? "" : ` pid ${pids.join(" ")} ${(command ?? "").slice(0, 30)}`}`;

/** Closed in order by both sides: held by no process, so not a finding. */
const isOver = ({ server, client }: PortView["connections"][number]) =>
  [server.state, client.state].includes("TIME-WAIT") && server.pids.length + client.pids.length === 0;

function describePort(port: PortView, paint: Paint): string[] {
  const states = port.states.map(({ state, count: number }) => `${number} ${state}`).join(", ");
  const lines = ["", `${paint(`port ${port.port}`, bold)}  ${states === "" ? "no socket" : states}`];
  lines.push(...port.listeners.map((end) => `  listens  ${describeEnd(end)}`));
  const held = port.connections.filter((one) => !isOver(one));
  lines.push(
    ...held.slice(0, connectionsMax).map(({ server, client }) => `  ${describeEnd(server)}  ↔  ${describeEnd(client)}`),
  );
  if (held.length > connectionsMax) lines.push(`  … ${held.length - connectionsMax} more: --json`);
  const over = port.connections.length - held.length;
  if (over > 0)
    lines.push(
      paint(`  ${count(over, "closed connection")} (TIME-WAIT): the kernel's alone, gone within a minute`, dim),
    );
  if (port.unattributed > 0)
    lines.push(paint(`  the process of ${count(port.unattributed, "socket")} could not be seen`, yellow));
  return lines;
}

function describeMachine({ tiers }: Report, paint: Paint): string[] {
  const best = tiers.find(({ isAvailable }) => isAvailable);
  const lines = ["", paint("what Holdfast could guarantee on this machine", bold)];
  for (const tier of tiers) {
    if (tier.isAvailable)
      lines.push(`  ${paint(tier.tier, green)}${tier === best ? " (it would take this one)" : ""}: ${tier.guarantee}`);
    else
      lines.push(`  ${paint(tier.tier, yellow)}: not here: ${tier.problem}`, `    what would give it: ${tier.remedy}`);
  }
  return lines;
}

export function describeReport(given: Report, view: View): string[] {
  const report = plainView(given);
  const paint = painter();
  const lines = [...headline(report.trees, view, paint), ...report.warnings.map((word) => paint(`! ${word}`, yellow))];
  lines.push(...describeTrees(report, view, paint));
  if (report.leftovers.length > 0) {
    lines.push("", `${paint("what other gateways may have left", bold)}  (by name, so never ended from here)`);
    for (const { what, pids, reparented, rssBytes } of report.leftovers)
      lines.push(
        `  ${what}: ${pids.length}, ${reparented} of them re-parented, ${size(rssBytes)}: pid ${pidList(pids)}`,
      );
  }
  if (report.port !== null) lines.push(...describePort(report.port, paint));
  lines.push(...describeMachine(report, paint));
  if (report.unseen.words.length > 0)
    lines.push("", ...report.unseen.words.map((word) => paint(`not seen: ${word}`, yellow)));
  return lines;
}

export function describeReaped(reaped: Reaped): string[] {
  const { ended, spared, survivors, processes, rssBytes } = plainView(reaped);
  const paint = painter();
  const lines = [
    "",
    paint(
      `${count(ended.length, "tree")} ended: ${count(processes, "process", "processes")}, ${size(rssBytes)} freed.`,
      green,
    ),
  ];
  lines.push(...spared.map(({ pid, command, why }) => `  left alone: pid ${pid}  ${clip(command)}: ${why}`));
  lines.push(
    ...survivors.map(({ pid, state, command }) =>
      paint(`  could not be ended: pid ${pid} (state ${state})  ${clip(command)}`, red),
    ),
  );
  if (ended.length > 0)
    lines.push("They come back? Put `holdfast run --` in front of the server's command in the client's config.");
  return lines;
}
