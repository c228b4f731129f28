/** A front on a simulated machine: a process of its kernel, whose code is the product's, in an object graph of its own. */
import type { FrontLink, FrontRequest } from "../types.ts";
import type { FrontCode } from "./front-place.ts";
import type { Process } from "./process.ts";
import type { SimulatedSystem } from "./system.ts";
import { Line, localDelayMs, SimulatedSocket } from "./wire.ts";

function* runCode(self: Process) {
  self.withstand("SIGTERM", "SIGINT", "SIGHUP", "SIGPIPE");
  for (;;) yield { until: () => false };
}

/** Messages wait for their first listener. */
class Inbox {
  readonly #waiting: unknown[] = [];
  #listeners: ((message: unknown) => void)[] = [];

  take(text: string): void {
    const message = JSON.parse(text) as unknown;
    if (this.#listeners.length === 0) this.#waiting.push(message);
    for (const hear of this.#listeners) hear(message);
  }

  add(hear: (message: unknown) => void): void {
    this.#listeners.push(hear);
    for (const message of this.#waiting.splice(0)) hear(message);
  }

  /** In place of earlier ones. */
  replace(hear: (message: unknown) => void): void {
    this.#listeners = [];
    this.add(hear);
  }
}

export function forkSimulatedFront(keeper: SimulatedSystem, request: FrontRequest, code: FrontCode): FrontLink {
  const { machine } = keeper;
  const { simulation } = machine;
  const helper = keeper.startHelper(runCode, { command: "front", environment: "" });
  const own = keeper.kernel.find(helper.pid) ?? keeper.own;
  const end = (owner: Process) => ({ owner, address: "pipe", port: 0 });
  const [keeperData, frontData] = SimulatedSocket.pair(simulation, end(keeper.own), end(own), localDelayMs);
  // A dead process hears nothing.
  for (const data of [keeperData, frontData]) data.on("error", () => {});
  const [toKeeper, toFront] = [new Inbox(), new Inbox()];
  const up = new Line<string>(simulation, keeper.own, localDelayMs, (text) => toKeeper.take(text));
  const down = new Line<string>(simulation, own, localDelayMs, (text) => toFront.take(text));
  const link = Object.assign(helper, {
    data: keeperData,
    send: (message: object) => {
      machine.onSend(keeper.own);
      if (keeper.own.isAlive && own.isAlive) down.send(JSON.stringify(message));
    },
    onMessage: (hear: (message: unknown) => void) => toKeeper.add(hear),
  });
  if (helper.pid === 0) return link;
  own.whenOver(() => frontData.vanish());
  keeper.own.whenOver(() => keeperData.vanish());
  const clock = simulation.clock(own);
  const exit = (exitCode: number) => machine.kernel.end(own, { code: exitCode, signal: null });
  const channel = {
    data: frontData,
    onMessage: (hear: (message: unknown) => void) => toFront.replace(hear),
    send: (message: object, onSent: () => void) => {
      machine.onSend(own);
      if (!own.isAlive || !keeper.own.isAlive) return;
      up.send(JSON.stringify(message));
      clock.soon(onSent);
    },
    // After what was sent before.
    onLost: (lost: () => void) => keeper.own.whenOver(() => void clock.after(localDelayMs, lost)),
  };
  clock.soon(() => code({ own, request, ...channel, exit }));
  return link;
}
