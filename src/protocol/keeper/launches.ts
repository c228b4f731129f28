/** What the front is told of servers that npx would start (`resolveNpx`). */

/** How a server with `resolveNpx` was started last. */
export interface LaunchView {
  /** What is run without npx, with versions; empty = npx starts it. */
  packages: string[];
  /** Milliseconds since the epoch. */
  installedAt: number | null;
  /** Why npx starts it, or why older files are used. */
  problem: string | null;
}
