/** Programs of the model that hide, fork or refuse to end in every way that is known. Each says "ready" when all of it is there. */
import { KernelRefusal } from "../../../src/platform/simulated/kernel.ts";
import type { Pause, Process, Program } from "../../../src/platform/simulated/process.ts";

const asleep: Pause = { until: () => false };
const deaf: NodeJS.Signals[] = ["SIGTERM", "SIGHUP", "SIGINT", "SIGQUIT"];

/** Does nothing, and hears nothing polite. */
function* hidden(self: Process): ReturnType<Program> {
  self.ignore(...deaf);
  self.closeStreams();
  self.exec("sleep");
  for (;;) yield asleep;
}

function* sleeper(): ReturnType<Program> {
  for (;;) yield asleep;
}

/** Says that all is there, then sleeps as the main process. */
function* remain(self: Process): ReturnType<Program> {
  self.print("ready\n");
  for (;;) yield asleep;
}

/** A program that forks another one, says "ready" and stays. */
function around(child: Program): Program {
  return function* parent(self) {
    self.fork(child);
    yield undefined;
    return yield* remain(self);
  };
}

function inSession(program: Program, environment?: string): Program {
  return (self) => {
    self.setSession();
    self.exec("setsid", environment);
    return program(self);
  };
}

/** A process between: its child's parent is gone at once. */
function orphaned(program: Program): Program {
  return function* between(self) {
    self.fork(program);
    yield undefined;
  };
}

/** Each process starts the next one and leaves, so that none lives for long. */
function chain(length: number): Program {
  return function* link(self) {
    yield undefined;
    if (length === 0) return yield* hidden(self);
    self.fork(chain(length - 1));
    yield undefined;
    return 0;
  };
}

function nest(depth: number): Program {
  return function* level(self) {
    if (depth > 0) self.fork(nest(depth - 1));
    return yield* hidden(self);
  };
}

/** Forks in every process as often as the table allows, up to a number in all. */
function bomb(left: { count: number }): Program {
  return function* fork(self) {
    self.ignore(...deaf);
    while (left.count > 0) {
      left.count -= 1;
      try {
        self.fork(fork);
      } catch (thrown) {
        if (!(thrown instanceof KernelRefusal)) throw thrown;
      }
      yield undefined;
    }
    for (;;) yield asleep;
  };
}

/** A fence of its own inside the one it was born in. */
function* freezeItself(self: Process): ReturnType<Program> {
  const { kernel } = self;
  const cell = kernel.makeFence(`${self.fence.name}/cell`, self.fence);
  const child = self.fork(hidden, { fence: cell });
  yield { until: () => child.command === "sleep" };
  cell.isFrozen = true;
  return yield* remain(self);
}

/** Moves to a fence that is not its own, as a process with the same rights can. */
function* escape(self: Process): ReturnType<Program> {
  self.fork(function* mover(child) {
    child.fence = child.kernel.root;
    return yield* hidden(child);
  });
  yield undefined;
  return yield* remain(self);
}

/** Every way by name. */
export const trees = {
  group: around((self) => {
    self.group = self.pid;
    return hidden(self);
  }),
  setsid: around(inSession(hidden)),
  "double-fork": around(orphaned(inSession(hidden))),
  cleared: around(inSession(hidden, "")),
  "cleared-double-fork": around(orphaned(inSession(hidden, ""))),
  "own-subreaper": around((self) => {
    self.isSubreaper = true;
    self.fork(orphaned(inSession(hidden, "")));
    return hidden(self);
  }),
  stopped: around(function* stop(self) {
    self.kernel.signal(self, "SIGSTOP");
    for (;;) yield asleep;
  }),
  "stops-itself": function* stop(self) {
    self.fork(hidden);
    self.print("ready\n");
    self.kernel.signal(self, "SIGSTOP");
    for (;;) yield asleep;
  },
  deaf: (self) => {
    self.ignore(...deaf);
    return around(hidden)(self);
  },
  chain: around(inSession(chain(60), "")),
  chains: function* several(self) {
    for (let count = 0; count < 4; count += 1) self.fork(inSession(chain(25), count % 2 === 0 ? "" : undefined));
    return yield* remain(self);
  },
  "holds-stdout": function* leave(self) {
    self.fork((child) => {
      child.ignore("SIGTERM");
      return sleeper();
    });
    self.print("ready\n");
    yield undefined;
    return 0;
  },
  "zombie-parent": around(function* neglect(self) {
    self.fork(function* end() {});
    return yield* hidden(self);
  }),
  wide: function* spread(self) {
    for (let count = 0; count < 30; count += 1) self.fork(hidden);
    return yield* remain(self);
  },
  deep: around(nest(20)),
  bomb: function* explode(self) {
    const left = { count: 40 };
    self.fork(bomb(left));
    self.fork(inSession(bomb(left), ""));
    return yield* remain(self);
  },
  "re-executed": function* become(self) {
    self.fork(hidden);
    yield undefined;
    self.exec("another", "");
    return yield* remain(self);
  },
  frozen: freezeItself,
  escaped: escape,
} satisfies Record<string, Program>;

export type TreeName = keyof typeof trees;

/** Ends when it is asked, and so does what it has started. */
export const polite: Program = function* polite(self) {
  let isAsked = false;
  self.handlers.set("SIGTERM", () => (isAsked = true));
  let count = 0;
  const counted = () => {
    count += 1;
    return sleeper();
  };
  self.fork(inSession(counted));
  self.fork(orphaned(counted));
  yield { until: () => count === 2 };
  self.print("ready\n");
  yield { until: () => isAsked };
  return 7;
};

/** Hears nothing until it is released. */
export function stuck(isReleased: () => boolean): Program {
  return around(function* wait() {
    yield { uninterruptible: isReleased };
    for (;;) yield asleep;
  });
}
