/** A table for people: columns as wide as their widest cell, numbers to the right. */

export type Cell = string | number;

export function renderTable(heads: string[], rows: Cell[][]): string {
  const cells = [heads, ...rows.map((row) => row.map(String))];
  const widths = heads.map((_, column) => Math.max(...cells.map((row) => (row[column] ?? "").length)));
  const isNumber = heads.map((_, column) => rows.every((row) => typeof row[column] === "number"));
  const render = (row: string[]) =>
    row
      .map((cell, column) =>
        isNumber[column] === true ? cell.padStart(widths[column] ?? 0) : cell.padEnd(widths[column] ?? 0),
      )
      .join(" | ");
  const rule = widths.map((width) => "-".repeat(width)).join("-|-");
  const [head = [], ...body] = cells;
  return [head, ...body]
    .map((row) => `| ${render(row)} |`)
    .toSpliced(1, 0, `|-${rule}-|`)
    .join("\n");
}
