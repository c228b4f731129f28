/** `holdfast stop`: ends the gateway, or the node, of a state directory in order, with or without a front. */
import { noGateway } from "../client/address.ts";
import { HoldfastError } from "../errors.ts";
import type { CommandContext } from "./context.ts";
import { printJson, printLines } from "./print.ts";
import { findKeeper, isSame, signalKeeper, waitFor } from "./running-keeper.ts";

/** Both graces at their defaults take 5 s; the rest is for a slow machine and longer graces. */
const stopMsMax = 120_000;

export async function stop(context: CommandContext): Promise<number> {
  const record = findKeeper(context.state);
  if (record === undefined) throw noGateway(context.state);
  const who = `the ${record.node === null ? "gateway" : "node"} (pid ${record.pid})`;
  signalKeeper(record, "SIGTERM");
  const gone = await waitFor(`${who} to end its runs`, () => !isSame(record), stopMsMax);
  if (!gone) {
    const advice = `see ${context.state}/log; a second \`holdfast stop\` skips the graces`;
    throw new HoldfastError("survivors", `${who} is still stopping after ${stopMsMax / 1000} s; ${advice}`);
  }
  if (context.json) printJson({ stopped: record.pid });
  else printLines([`${who} has ended`]);
  return 0;
}
