/** Finds files that import each other in a circle: strongly connected components of the imports, by Tarjan's algorithm. */
import { posix } from "node:path";
import { importsOf, type SourceFile } from "./rules.ts";

/** One line per circle: its files in order. */
export function circlesIn(files: readonly SourceFile[]): string[] {
  const targets = new Map(
    files.map(({ path, text }) => {
      const beside = importsOf(text).filter(({ target }) => target.startsWith("."));
      return [path, beside.map(({ target }) => posix.join(posix.dirname(path), target))] as const;
    }),
  );
  const order = new Map<string, number>();
  const lowest = new Map<string, number>();
  const stack: string[] = [];
  const circles: string[] = [];

  function visit(path: string): void {
    order.set(path, order.size);
    lowest.set(path, order.size - 1);
    stack.push(path);
    for (const target of targets.get(path) ?? []) {
      if (!targets.has(target)) continue;
      if (!order.has(target)) visit(target);
      if (stack.includes(target)) lowest.set(path, Math.min(lowest.get(path) ?? 0, lowest.get(target) ?? 0));
    }
    if (lowest.get(path) !== order.get(path)) return;
    const circle = stack.splice(stack.indexOf(path));
    if (circle.length > 1) circles.push(circle.toSorted().join(", "));
  }

  for (const path of targets.keys()) if (!order.has(path)) visit(path);
  return circles.toSorted();
}
