/** `holdfast restart`: a new front, or with `--all` a full restart, under the same pid where a process can keep it. */
import { noGateway } from "../client/address.ts";
import { GatewayClient } from "../client/rpc.ts";
import { keepsPid } from "../platform/self/index.ts";
import { HoldfastError, type ErrorCode } from "../errors.ts";
import type { CommandContext } from "./context.ts";
import { printJson, printLines } from "./print.ts";
import { findKeeper, isSame, signalKeeper, waitFor } from "./running-keeper.ts";

const frontMsMax = 30_000;
/** Includes the end of every run, with all graces. */
const allMsMax = 120_000;

export async function restart(context: CommandContext, options: { all: boolean }): Promise<number> {
  const client = new GatewayClient(context);
  if (options.all) await restartAll(context, client);
  else await restartFront(client);
  const found = await client.call("gateway.status", {});
  if (context.json) printJson(found);
  else
    printLines([
      `${options.all ? "the gateway" : "the front"} is new: ${found.url}, epoch ${found.epoch}, front pid ${found.front.pid}`,
      // Survivors are named; `status` has all details.
      ...(options.all ? found.reconciled.filter((line) => line.includes("is still not over")) : []),
    ]);
  return 0;
}

/** Errors that a gateway may give while its front is replaced. */
const passing = new Set<ErrorCode>(["gateway_unreachable", "gateway_busy", "answer_late"]);

async function restartFront(client: GatewayClient): Promise<void> {
  const before = await client.call("gateway.status", {});
  await client.call("gateway.restart", { all: false });
  const isNew = async () => {
    try {
      return (await client.call("gateway.status", {})).front.pid !== before.front.pid && (await client.isReady());
    } catch (thrown) {
      // Between the two fronts there is no answer, or the old one reports its shutdown.
      if (thrown instanceof HoldfastError && passing.has(thrown.code)) return false;
      throw thrown;
    }
  };
  if (await waitFor("the new front", isNew, frontMsMax)) return;
  throw new HoldfastError(
    "gateway_unreachable",
    `no new front within ${frontMsMax / 1000} s; see \`holdfast status\` and the gateway's log`,
  );
}

async function restartAll(context: CommandContext, client: GatewayClient): Promise<void> {
  const before = findKeeper(context.state);
  if (before === undefined) throw noGateway(context.state);
  signalKeeper(before, "SIGUSR2");
  const isNew = async () => {
    // Same pid and start time, where the keeper replaces its own program.
    if (keepsPid && !isSame(before))
      throw new HoldfastError(
        "gateway_unreachable",
        `the gateway (pid ${before.pid}) ended and did not start again; see ${context.state}/log`,
      );
    const now = findKeeper(context.state);
    return now !== undefined && now.epoch > before.epoch && (await client.isReady());
  };
  if (await waitFor("the gateway to start again", isNew, allMsMax)) return;
  throw new HoldfastError("gateway_unreachable", `no new start within ${allMsMax / 1000} s; see ${context.state}/log`);
}
