/**
 * How the chain tier loses: each test shows a process that really survives, or is not seen, on the simulated XNU, and why. Otherwise
 * the model would flatter the tier. What holds beside it is in the contract.
 */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { Machine } from "../../../src/platform/simulated/machine.ts";
import type { Program } from "../../../src/platform/simulated/process.ts";
import { Simulation } from "../../../src/platform/simulated/simulation.ts";
import { patiently } from "../../helpers/until.ts";
import {
  asleep,
  boundMs,
  escaping,
  expectLost,
  isAway,
  lostSometimes,
  played,
  sleep,
  startOn,
  twice,
} from "./losing-world.ts";

describe("the chain tier of macOS loses", { timeout: patiently(120_000) }, () => {
  it("a double fork that becomes another program without environment: the exec takes launchd for its parent", () =>
    played(async (world) => {
      const container = await world.run(twice("daemon", ""));
      await world.until(() => isAway(world, "daemon"));
      const [left] = await expectLost(world, container);
      assert.equal(left?.parentStartTime, world.machine.kernel.init.startTime);
    }));

  it("a double fork into a program of the system's own: its marker is there, and withheld", () =>
    played(
      async (world) => {
        const container = await world.run(twice("/usr/bin/perl"));
        await world.until(() => isAway(world, "/usr/bin/perl"));
        const [left] = await expectLost(world, container);
        assert.match(left?.environment ?? "", /HOLDFAST_RUN/);
      },
      { restricted: ["/usr/bin/perl"] },
    ));

  it("a double fork without an exec, when nobody saw the process between: its parent id names a stranger", () =>
    lostSometimes(async (world) => {
      const container = await world.run(function* main(self) {
        self.fork(function* fork(middle) {
          middle.fork(
            escaping(function* orphan(last) {
              last.setSession();
              last.environment = "";
              for (;;) yield asleep;
            }),
          );
          yield undefined;
        });
        for (;;) yield asleep;
      });
      await world.until(() => world.living("escaped").length === 1);
      assert.notEqual(world.living("escaped")[0]?.parentStartTime, world.machine.kernel.init.startTime);
      return container;
    }));

  it("a chain of forks in its own session, whose first process is gone before a look sees it", () =>
    lostSometimes(async (world) => {
      const link = (length: number): Program =>
        escaping(function* next(self) {
          yield undefined;
          if (length > 0) self.fork(link(length - 1));
          else for (;;) yield asleep;
        });
      const container = await world.run(function* main(self) {
        self.fork(function* first(leader) {
          leader.setSession();
          leader.exec("link", "");
          leader.fork(link(20));
          yield undefined;
        });
        for (;;) yield asleep;
      });
      await world.until(() => world.living("escaped").length === 1);
      return container;
    }));

  it("everything without a marker, when keeper and guardian are killed at once: nobody remembers the chain", () =>
    played(async (world) => {
      await world.run(function* main(self) {
        self.fork(
          escaping(function* child(own) {
            own.exec("server", "");
            for (;;) yield asleep;
          }),
        );
        for (;;) yield asleep;
      });
      await world.until(() => isAway(world, "server"));
      world.keeper.crash();
      const next = startOn(world.machine, [], {}).open("owner", 2).epoch;
      assert.deepEqual((await next.sweepEarlier(boundMs)).left, []);
      assert.equal(world.living("escaped").length, 1);
    }));

  it("everything without a marker, when the keeper is killed: its guardian knows markers only", () =>
    played(async (world) => {
      const watchdog = world.keeper.open("owner", 1).epoch.watchdog();
      await watchdog.ready;
      await world.run(function* main(self) {
        self.origin = "marked";
        self.fork(
          escaping(function* child(own) {
            own.exec("server", "");
            for (;;) yield asleep;
          }),
        );
        for (;;) yield asleep;
      });
      await world.until(() => isAway(world, "server"));
      world.keeper.crash();
      await world.until(() => world.living("marked").length === 0);
      assert.equal(world.living("escaped").length, 1);
    }));

  it("a run of the system's own shell, when the keeper is killed: the marker is withheld from its guardian, too", () =>
    played(
      async (world) => {
        const watchdog = world.keeper.open("owner", 1).epoch.watchdog();
        await watchdog.ready;
        await world.run(
          escaping(function* shell(self) {
            self.exec("/bin/sh");
            for (;;) yield asleep;
          }),
        );
        await world.until(() => isAway(world, "/bin/sh"));
        world.keeper.crash();
        await world.until(() => world.machine.kernel.find(watchdog.pid)?.isAlive !== true);
        assert.equal(world.living("escaped").length, 1);
      },
      { restricted: ["/bin/sh"] },
    ));

  it("what another daemon starts for a run, with an environment of its own", () =>
    played(async (world) => {
      let isAsked = false;
      world.machine.kernel.fork(
        world.machine.kernel.init,
        function* daemon(self) {
          yield { until: () => isAsked };
          self.fork(escaping(sleep));
          for (;;) yield asleep;
        },
        { environment: "" },
      );
      const container = await world.run(function* main() {
        isAsked = true;
        for (;;) yield asleep;
      });
      await world.until(() => world.living("escaped").length === 1);
      await expectLost(world, container);
    }));

  it("a process that took another user's rights: it is seen, named, and not ended", () =>
    played(async (world) => {
      const container = await world.run(function* main(self) {
        self.fork(
          escaping(function* root(own) {
            own.uid = 0;
            for (;;) yield asleep;
          }),
        );
        for (;;) yield asleep;
      });
      await world.until(() => world.living("escaped").some(({ uid }) => uid === 0));
      const left = await container.end(boundMs);
      assert.deepEqual(
        left.map(({ pid }) => pid),
        world.living("escaped").map(({ pid }) => pid),
      );
      assert.equal(left.length, 1);
    }));

  it("an orphan in a session that the run has made, when its leader was gone before a look", () =>
    lostSometimes(async (world) => {
      const container = await world.run(function* main(self) {
        const between = self.fork(function* fork(leader) {
          leader.setSession();
          leader.fork(
            escaping(function* orphan(last) {
              yield { until: () => !between.isAlive };
              last.exec("daemon", "");
              for (;;) yield asleep;
            }),
          );
          yield undefined;
        });
        for (;;) yield asleep;
      });
      await world.until(() => isAway(world, "daemon"));
      assert.notEqual(world.living("escaped")[0]?.session, world.living("escaped")[0]?.pid);
      return container;
    }));

  it("an innocent process, where kill(2) must do: its number was the member's a moment before", async () => {
    let hits = 0;
    for (let seed = 1; seed <= 200 && hits === 0; seed += 1) {
      const simulation = new Simulation(seed);
      const machine = new Machine(simulation, { proof: "scan", rules: "xnu", pidMax: 5 });
      const keeper = startOn(machine, [], { signalsExactly: false });
      const { kernel } = machine;
      // Numbers are so few that each comes back at once.
      const victim = kernel.fork(
        keeper.own,
        function* brief() {
          yield undefined;
        },
        {},
      );
      kernel.fork(
        keeper.own,
        function* replace(self) {
          yield { until: () => kernel.find(victim.pid) === undefined };
          for (;;) {
            try {
              self.fork(escaping(sleep));
            } catch {
              for (;;) yield asleep;
            }
            yield undefined;
          }
        },
        {},
      );
      const target = { pid: victim.pid, uniqueId: BigInt(victim.startTime), pidVersion: victim.version };
      const isSent = keeper.darwin.xnu.signal(target, "SIGKILL");
      await simulation.pass(5);
      if (isSent && victim.exit?.signal !== "SIGKILL") hits += 1;
    }
    assert.ok(hits > 0, "the window was never hit");
  });

  it("and none of that where the member is signalled by its audit token", async () => {
    for (let seed = 1; seed <= 200; seed += 1) {
      const simulation = new Simulation(seed);
      const machine = new Machine(simulation, { proof: "scan", rules: "xnu", pidMax: 5 });
      const keeper = startOn(machine, [], {});
      const victim = machine.kernel.fork(
        keeper.own,
        function* brief() {
          yield undefined;
        },
        {},
      );
      const target = { pid: victim.pid, uniqueId: BigInt(victim.startTime), pidVersion: victim.version };
      const isSent = keeper.darwin.xnu.signal(target, "SIGKILL");
      assert.equal(isSent, victim.pending.has("SIGKILL") || victim.exit?.signal === "SIGKILL");
    }
  });
});
