/** The life of a run as one pure table. `exited` is entered on proof of empty only, never on the leader's exit. */
import { HoldfastError } from "../errors.ts";
import type { RunState } from "./protocol/messages.ts";

/**
 *   starting ──> running ──> stopping ──> exited
 *      │            └──────> lost ──┐        ^
 *      └──> stopping  <─────────────┘────────┘
 */
const allowed: Record<RunState, readonly RunState[]> = {
  starting: ["running", "stopping"],
  running: ["stopping", "lost"],
  stopping: ["exited", "lost"],
  lost: ["running", "stopping", "exited"],
  exited: [],
};

/** The next state, or a defect: an illegal move is never carried out in silence. */
export function transition(from: RunState, to: RunState): RunState {
  if (!allowed[from].includes(to)) throw new HoldfastError("internal", `a run cannot go from ${from} to ${to}`);
  return to;
}
