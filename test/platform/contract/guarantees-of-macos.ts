/** The columns of macOS in the table of guarantees. */
import type { Column } from "./guarantees.ts";
import { chainBackend, coalitionBackend } from "./simulated-xnu.ts";

/** As many as the suite plays, always the same ones. */
const seeds = { count: 32, first: 1 };

export const macosColumns: readonly Column[] = [
  { tier: "chain", backend: chainBackend(seeds) },
  { tier: "coalition", backend: coalitionBackend(seeds) },
];
