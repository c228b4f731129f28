/** `holdfast stop`: stops the gateway or node of a state directory in order, with or without a front. */
import { noGateway } from "../client/address.ts";
import { platform } from "../platform/index.ts";
import { HoldfastError } from "../errors.ts";
import { readLeftovers } from "../keeper/leftovers.ts";
import { statePaths } from "../keeper/state-directory.ts";
import type { CommandContext } from "./context.ts";
import { printJson, printLines } from "./print.ts";
import { findKeeper, isSame, signalKeeper, waitFor } from "./running-keeper.ts";

/** Both graces take 5 s by default; the rest is for slow machines and longer graces. */
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
  const left = readLeftovers(statePaths(context.state), platform).flatMap(({ row, left: processes }) =>
    processes.map(({ pid, state, command }) => `pid ${pid} (state ${state}) of run ${row.id}: ${command}`),
  );
  if (left.length > 0) {
    const advice = "the next start tries again; to end them now needs root, or a restart of the machine";
    throw new HoldfastError("survivors", `${who} has ended, but could not end ${left.join("; ")}; ${advice}`);
  }
  if (context.json) printJson({ stopped: record.pid });
  else printLines([`${who} has ended`]);
  return 0;
}
