/** The table of what tiers guarantee, as their backends play the contract: what the documents say was seen, row by row. */
import { shellAttacks } from "../../../src/selftest/ways-to-hide.ts";
import type { Backend } from "./backend.ts";
import { contractRows, hiding, proofTitle } from "./suite.ts";

export interface Column {
  readonly tier: string;
  readonly backend: Backend;
}

/** Trees that only the contract has, and whose titles in the self-test need those beside them. */
const otherTrees: Readonly<Record<string, string>> = {
  bomb: "forks in every process, as many as fit",
  chains: "several endless chains of forks",
  "cleared-double-fork": "a double fork and an empty environment",
  deep: "a deep tree",
  escaped: "a move to another fence",
  "re-executed": "another program, with an empty environment",
  "stops-itself": "a main process that stops itself",
  wide: "a wide tree",
};

function labelOf(title: string): string {
  if (!title.startsWith(hiding)) return title;
  const name = title.slice(hiding.length);
  const known = otherTrees[name] ?? shellAttacks.find((attack) => attack.name === name)?.title;
  return `ends what hides by ${known ?? name.replaceAll("-", " ")}`;
}

interface Cell {
  readonly text: "held" | "best effort" | "not played";
  /** Why not held. */
  readonly reason?: string;
}

/** Plays every row. Throws when a promise is broken, and when one that is excused holds. */
async function playAll({ tier, backend }: Column): Promise<Map<string, Cell>> {
  const cells = new Map<string, Cell>();
  for (const { title, skip, bestEffort, play } of contractRows(backend)) {
    if (skip !== false) {
      cells.set(title, { text: "not played", reason: skip });
      continue;
    }
    const broken = await play().then(
      () => undefined,
      (thrown: unknown) => thrown,
    );
    if ((broken === undefined) === (bestEffort === undefined))
      cells.set(title, bestEffort === undefined ? { text: "held" } : { text: "best effort", reason: bestEffort });
    else throw new Error(`${tier}: ${title}: ${broken === undefined ? "holds" : "is broken"}`, { cause: broken });
  }
  return cells;
}

/** Lines of Markdown: a row per promise, then a line per reason. A promise that a column has not is not played there. */
export async function guaranteeTable(columns: readonly Column[]): Promise<string[]> {
  const played: { tier: string; cells: Map<string, Cell> }[] = [];
  for (const column of columns) played.push({ tier: column.tier, cells: await playAll(column) });
  const titles = [...new Set(played.flatMap(({ cells }) => [...cells.keys()]))].filter((title) => title !== proofTitle);
  const reasons: string[] = [];
  const cellOf = (cell: Cell | undefined): string => {
    if (cell?.reason === undefined) return cell?.text ?? "not played";
    if (!reasons.includes(cell.reason)) reasons.push(cell.reason);
    return `${cell.text} (${reasons.indexOf(cell.reason) + 1})`;
  };
  const line = (cells: readonly string[]) => `| ${cells.join(" | ")} |`;
  const rows = titles.map((title) => line([labelOf(title), ...played.map(({ cells }) => cellOf(cells.get(title)))]));
  return [
    line(["Promise", ...columns.map(({ tier }) => `\`${tier}\``)]),
    line(["---", ...columns.map(() => "---")]).replaceAll(" ", ""),
    line(["proof of empty", ...columns.map(({ backend }) => backend.proof)]),
    ...rows,
    "",
    ...reasons.map((reason, index) => `${index + 1}. ${reason}`),
  ];
}

const [begin, end] = ["<!-- node scripts/guarantees.ts -->", "<!-- end -->"];

/** The page with this table in the place of its own. */
export function replaceTable(page: string, table: readonly string[]): string {
  const [before, rest] = page.split(`${begin}\n`);
  const after = rest?.split(`${end}\n`)[1];
  if (before === undefined || after === undefined) throw new Error(`the page has no ${begin} and ${end}`);
  return `${before}${begin}\n\n${table.join("\n")}\n\n${end}\n${after}`;
}
