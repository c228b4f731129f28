/** Why an end did not succeed, said alike by the keeper and by the gateway. */
import type { RunView } from "../run.ts";
import { HoldfastError } from "../../errors.ts";

export function unendable({ id, survivors }: Pick<RunView, "id" | "survivors">): HoldfastError {
  const who = survivors.map(({ pid, state, command }) => `pid ${pid} (${state}) ${command}`).join(", ");
  return new HoldfastError("survivors", `run ${id} could not be ended: ${who}`);
}

/** Throws for a run that has to be gone before another one starts: `survivors`, or `host_unreachable` when that cannot be known. */
export function mustBeGone({ id, state, host, survivors }: RunView): void {
  if (survivors.length > 0) throw unendable({ id, survivors });
  if (state === "exited") return;
  const remedy = "nothing was started; try again when the host answers";
  throw new HoldfastError("host_unreachable", `run ${id} on ${host} is not known to be gone; ${remedy}`);
}
