/**
 * Faults of order and time that this gateway once had: how to take each mend out again, and the scene that then breaks. A
 * simulator that does not find them would not find their kin.
 */
import type { Patch } from "./patched.ts";
import { playPatched } from "./patched-play.ts";

export interface KnownFault {
  readonly name: string;
  readonly patches: readonly Patch[];
  /** Named scenes of which at least one breaks; without the patches all of them hold. */
  readonly scenes: readonly string[];
}

const one = (file: string, find: string, put: string): Patch => ({ file, find, put });

const supervisor = "src/keeper/supervisor.ts";
const runTable = "src/keeper/run-table.ts";
const run = "src/keeper/run.ts";
const background = "src/keeper/background/runs.ts";
const noRetry = one(
  supervisor,
  "    this.#failures += 1;\n",
  "    if (end.refused !== null) return;\n    this.#failures += 1;\n",
);
const noKeeperLock = one(
  background,
  "return this.#mutex.run(key, async () => {",
  "return ((_: string, start: () => Promise<RunView>) => start())(key, async () => {",
);

export const knownFaults: readonly KnownFault[] = [
  {
    name: "restarts that overlap start two fronts",
    patches: [
      one(supervisor, 'starting: ["serving",', 'starting: ["starting", "serving",'),
      one(supervisor, "  #failures = 0;\n", "  #failures = 0;\n  #more = 0;\n"),
      one(supervisor, "this.#restarting ??= new Promise", "this.#restarting = new Promise"),
      one(
        supervisor,
        'if (this.#state === "serving") this.#drain(reason);\n',
        'if (this.#state === "serving") this.#drain(reason);\n      else if (this.#state === "draining") this.#more += 1;\n',
      ),
      one(
        supervisor,
        "if (planned) return this.#start();",
        "if (planned) {\n      this.#start();\n      for (; this.#more > 0; this.#more -= 1) this.#start();\n      return;\n    }",
      ),
    ],
    scenes: ["restarts that overlap replace the front once"],
  },
  {
    name: "a restart of everything overrules a stop",
    patches: [
      one("src/keeper/keeper-life.ts", "again: first.again && later.again", "again: first.again || later.again"),
    ],
    scenes: ["a stop wins over restarts", "a restart of everything does not win over an earlier stop"],
  },
  {
    name: "a guardian that cannot be started is gone silently",
    patches: [noRetry],
    scenes: ["a guardian that cannot be started is tried again, and nothing starts without one"],
  },
  {
    name: "runs are accepted without a guardian",
    patches: [
      one(runTable, "this.#closed ? undefined : this.#parts.mustWatch()", "undefined as Promise<void> | undefined"),
    ],
    scenes: ["a guardian that cannot be started is tried again, and nothing starts without one"],
  },
  {
    name: "a front that cannot be started is not tried again",
    patches: [noRetry],
    scenes: ["a front that cannot be started is tried again"],
  },
  {
    name: "a new guardian does not know the front",
    patches: [one("src/keeper/guardian.ts", "if (this.#front !== undefined) watchdog.guard(this.#front);", "")],
    scenes: ["a dead guardian is replaced at once and watches"],
  },
  {
    name: "the end of what cannot be ended is asked once",
    patches: [one("src/keeper/repeated-end.ts", "() => void this.ask()", "() => {}")],
    scenes: ["what cannot be ended stays on record, is tried again, and blocks nothing for ever"],
  },
  {
    name: "a run is recorded as exited while its process lives",
    patches: [one(run, "if (left.length === 0) {", "if (left.length >= 0) {")],
    scenes: ["what cannot be ended stays on record, is tried again, and blocks nothing for ever"],
  },
  {
    name: "a stop waits without a bound for what cannot be ended",
    patches: [one("src/platform/stop-sequence.ts", "container.end(killBoundMs)", "container.end(Infinity)")],
    scenes: ["a stop with what cannot be ended names it, and the next start holds it"],
  },
  {
    name: "reconcile closes the record of a run that lives",
    patches: [
      one(
        "src/keeper/reconcile.ts",
        "const alive = stillLeft(row, left, parts.platform);",
        "const alive = left.slice(left.length);",
      ),
    ],
    scenes: ["a new keeper closes no record of what still lives"],
  },
  {
    name: "reconcile closes records before it ends what they are of",
    patches: [
      one(
        "src/keeper/reconcile.ts",
        "  const rows = ledger.open();\n",
        '  const rows = ledger.open();\n  for (const row of rows) closeRow(ledger, row, "keeper-lost", parts.clock.now());\n',
      ),
    ],
    scenes: ["a new keeper closes no record of what still lives"],
  },
  {
    name: "a survivor of an earlier keeper blocks its scope key for ever",
    patches: [one("src/keeper/leftovers.ts", "      this.#runs.delete(id);\n", "")],
    scenes: ["a stop with what cannot be ended names it, and the next start holds it"],
  },
  {
    name: "a repeated end counts as a hurry",
    patches: [
      one(
        run,
        "    this.#ending ??= this.#end(reason);\n    if (hurried) this.#hurry();",
        "    if (hurried || this.#ending !== undefined) this.#hurry();\n    this.#ending ??= this.#end(reason);",
      ),
    ],
    scenes: ["an end asked again keeps the graces"],
  },
  {
    name: "a run of a lost session is told to hurry",
    patches: [
      one(
        "src/runs/session-runs.ts",
        'await runners.end({ run, reason: "session-ended", hurried: false })',
        'await runners.end({ run, reason: "session-ended", hurried: true })',
      ),
    ],
    scenes: ["a run whose session the next front does not know keeps its graces too"],
  },
  {
    name: "a stop does not wait for ends under way",
    patches: [
      one(
        runTable,
        "await Promise.all(this.live().map((run) => run.whenEnded() ?? run.end(reason)));",
        "await Promise.all(this.live().map((run) => (run.whenEnded() === undefined ? run.end(reason) : undefined)));",
      ),
    ],
    scenes: ["a stop while a run ends waits for it"],
  },
  {
    name: "starts under one scope key overlap",
    patches: [
      noKeeperLock,
      one(
        "src/runs/runners.ts",
        "return this.#mutex.run(replaced.key, async () => {",
        "return ((_: string, start: () => Promise<RunView>) => start())(replaced.key, async () => {",
      ),
    ],
    scenes: ["starts under one scope key that overlap leave one run"],
  },
  {
    name: "starts under one scope key of two fronts overlap",
    patches: [noKeeperLock],
    scenes: ["starts under one scope key of two fronts leave one run"],
  },
  {
    name: "a run that ends is adopted",
    patches: [one(runTable, 'run.state !== "running" || run.relay', "run.relay")],
    scenes: ["a server that is ending is not handed to the next front as usable"],
  },
  {
    name: "deaths of long ago count when the wall clock was set back",
    patches: [
      one(
        supervisor,
        "this.#parts.intensity.allows(this.#clock.monotonic())",
        "this.#parts.intensity.allows(this.#clock.now())",
      ),
    ],
    scenes: ["a front that dies again and again ends the gateway, whatever the wall clock says"],
  },
  {
    name: "the times of a run follow the wall clock",
    patches: [
      one(
        "src/keeper/run-timers.ts",
        "const restMs = until() - this.#parts.clock.monotonic();",
        "const restMs = until() - this.#parts.clock.now();",
      ),
      one(
        "src/keeper/run-timers.ts",
        "const now = this.#parts.clock.monotonic();",
        "const now = this.#parts.clock.now();",
      ),
    ],
    scenes: ["a run's times end it, each for its own reason"],
  },
  {
    name: "a full disk makes a stop fail",
    patches: [
      one(
        "src/keeper/ledger.ts",
        "this.#owed.do(`end ${epoch}`, () => void this.#database.prepare(sql).run(now, epoch));",
        "this.#database.prepare(sql).run(now, epoch);",
      ),
    ],
    scenes: ["a stop with a full disk is an orderly one"],
  },
  {
    name: "a full disk loses the record of an end",
    patches: [one("src/owed-writes.ts", "else this.#retry = this.#clock.after(retryMs, () => this.#pay());", "")],
    scenes: ["a full disk delays the record of an end, not the end"],
  },
  {
    name: "a drain of the front has no bound",
    patches: [
      one(
        supervisor,
        "this.#clock.after(this.#parts.drainBoundMs, () => helper?.kill())",
        "this.#clock.after(2 ** 31, () => helper?.kill())",
      ),
    ],
    scenes: ["a stop of a front that stands still ends within its bound"],
  },
];

/** Plays each with its scenes, two at a time; resolves with the number of those that nothing found. */
export async function playKnownFaults(tell: (line: string) => void, faults = knownFaults): Promise<number> {
  const queue = [...faults];
  let missed = 0;
  const work = async () => {
    for (let fault = queue.shift(); fault !== undefined; fault = queue.shift()) {
      const { by, promise } = await playPatched(fault.patches, fault.scenes);
      if (by === null) missed += 1;
      tell(`${by === null ? "NOT FOUND" : "found"}: ${fault.name}: ${promise}`);
    }
  };
  await Promise.all([work(), work()]);
  return missed;
}
