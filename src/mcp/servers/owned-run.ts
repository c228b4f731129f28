/** One server process tree as its session owns it. */
import type { EndReason, RunView } from "../../protocol/run.ts";
import { asHoldfastError, HoldfastError, type ErrorCode } from "../../errors.ts";
import type { LinkedRun } from "../../protocol/keeper/linked-run.ts";
import type { Owned } from "../../ownership/scope.ts";

/** The keeper's answers for a run that ended earlier. */
const goneCodes: ErrorCode[] = ["run_unknown", "run_ended"];

export class OwnedRun implements Owned {
  readonly #run: LinkedRun;
  #closing: Promise<void> | undefined;

  constructor(run: LinkedRun) {
    this.#run = run;
  }

  /** Resolves when the container is empty; else rejects with `survivors`, or `host_unreachable` without proof. */
  close(reason: EndReason): Promise<void> {
    this.#closing ??= this.#close(reason).catch((thrown: unknown) => {
      this.#closing = undefined; // unproven: the next call checks again
      throw thrown;
    });
    return this.#closing;
  }

  async #close(reason: EndReason): Promise<void> {
    let view = this.#run.view;
    if (view.state === "exited") return;
    if (view.state === "lost") throw lost(view);
    try {
      view = await this.#run.stop(reason);
    } catch (thrown) {
      if (thrown instanceof HoldfastError && goneCodes.includes(thrown.code)) return;
      throw thrown;
    }
    if (view.state === "lost") throw lost(view);
    if (view.survivors.length === 0) return;
    const left = view.survivors.map(({ pid, state, command }) => `pid ${pid} (${state}, ${command})`).join(", ");
    throw new HoldfastError("survivors", `run ${view.id} cannot be ended: ${left}`);
  }
}

/** The host is unreachable, so its end is unproven. */
function lost(view: RunView): HoldfastError {
  const message = `run ${view.id} is lost: ${view.host} cannot be reached; what is left there is ended when it can be`;
  return new HoldfastError("host_unreachable", message);
}

/** Why a server was not started, with its name where the keeper or ssh mentions only the program or the host. */
export function notStarted(server: string, thrown: unknown): HoldfastError {
  const error = asHoldfastError(thrown);
  if (error.code !== "host_unreachable" && error.code !== "spawn_failed") return error;
  const message = `MCP server ${JSON.stringify(server)} cannot be started: ${error.message}`;
  return new HoldfastError(error.code, message, { cause: error });
}

/** How a run ended, in words for the client of its call. */
export function describeEnd(server: string, view: RunView): string {
  const name = `MCP server ${JSON.stringify(server)}`;
  if (view.state === "lost") return `${name} is lost: ${view.host} cannot be reached`;
  if (view.endReason === "exited") return `${name} exited with code ${view.exitCode ?? "unknown"}`;
  if (view.endReason === "signaled") return `${name} was ended by ${view.signal ?? "a signal"}`;
  return `${name} was ended (${view.endReason ?? view.state})`;
}
