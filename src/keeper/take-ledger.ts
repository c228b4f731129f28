/** Opens the ledger for the keeper's life, or says which gateway has it already. */
import { HoldfastError } from "../errors.ts";
import { Ledger } from "./ledger.ts";
import { readKeeperRecord, type StatePaths } from "./state-directory.ts";

/** Throws `state_locked` with the other gateway's pid and address, or `state_unusable`. */
export function takeLedger(paths: StatePaths): Ledger {
  try {
    return new Ledger(paths.ledger);
  } catch (thrown) {
    if (!(thrown instanceof HoldfastError) || thrown.code !== "state_locked") throw thrown;
    const other = readKeeperRecord(paths);
    const who = other === undefined ? "" : ` (pid ${other.pid}, ${other.url})`;
    const message = `another gateway runs on the state directory ${paths.root}${who}; stop it with \`holdfast stop\`, or choose another directory with --state DIR`;
    throw new HoldfastError("state_locked", message, { cause: thrown });
  }
}
