/**
 * node attack-unix.cjs NAME FILE SECONDS [ROLE [COUNT]]: attack.sh for a Unix without /proc, setsid and bash 4, that is macOS.
 * "ready" on stdout says that all processes are listed in FILE. What nobody ends does nothing and is over after SECONDS.
 */
const { spawn } = require("node:child_process");
const { note, start, stay, whenListed } = require("./note-unix.cjs");

const [, self, name, file, seconds, role = "leader", count = "0"] = process.argv;
const node = process.execPath;
const wordsOf = (nextRole, rest = "0") => [self, name, file, seconds, nextRole, rest];
/** In a session of its own. */
const begin = (nextRole, options = {}, rest = "0") => start(wordsOf(nextRole, rest), options);
/** By a line of shell, whose "$@" is the process; in the session that is there. */
const byShell = (line, nextRole) =>
  spawn("bash", ["-c", line, "bash", node, ...wordsOf(nextRole)], { stdio: "ignore" }).unref();

const linkMs = 50;
const linksMax = 200;
const lookMs = 2;
const cleared = {};

function deaf() {
  for (const signal of ["SIGINT", "SIGQUIT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
}

/** Each starts what hides and says how many processes there will be. */
const ways = {
  // With job control bash gives each command a group, even without a terminal.
  group: () => (byShell('set -m; "$@" & exit 0', "hidden"), 2),
  setsid: () => (begin("hidden"), 2),
  "double-fork": () => (begin("between"), 2),
  cleared: () => (begin("hidden", { env: cleared }), 2),
  "cleared-double-fork": () => (begin("between", { env: cleared }), 2),
  "late-exec": () => (begin("between-late", { env: cleared }), 2),
  disowned: () => (byShell('nohup "$@" >/dev/null 2>&1 & exit 0', "hidden"), 2),
  stopped: () => (begin("stopped"), 2),
  deaf: () => (deaf(), begin("hidden"), 2),
  chain: () => (begin("chain", {}, String(linksMax)), 6),
  // Node waits for no child that the shell before it has started.
  "zombie-parent": () => (byShell('sh -c "exit 0" & exec "$@"', "hidden"), 2),
  "holds-stdout": () => (begin("hidden", { stdio: ["ignore", "inherit", "ignore"] }), 2),
};

const roles = {
  leader() {
    note(file, "leader");
    // The end of its input asks it to end; it does not.
    process.stdin.on("error", () => {}).resume();
    stay(seconds);
    whenListed(file, ways[name](), () => {
      process.stdout.write("ready\n", () => {
        if (name === "holds-stdout") process.exit(0);
      });
    });
  },
  /** Not listed: it leaves at once. */
  between: () => begin("hidden", { env: process.env }),
  "between-late": () => begin("late", { env: process.env }, String(process.pid)),
  /** Becomes another program once its parent, COUNT, is gone, so that the kernel forgets who has forked it. */
  late() {
    const look = setInterval(() => {
      if (process.ppid === Number(count)) return;
      clearInterval(look);
      process.execve(node, [node, ...wordsOf("hidden")], cleared);
    }, lookMs);
  },
  stopped() {
    note(file, "stopped");
    stay(seconds);
    process.kill(process.pid, "SIGSTOP");
  },
  /** The kill races a chain in which each process starts the next one and leaves. */
  chain() {
    note(file, "chain");
    stay(seconds);
    if (Number(count) === 0) return;
    begin("chain", {}, String(Number(count) - 1));
    setTimeout(() => process.exit(0), linkMs);
  },
};

if (Object.hasOwn(roles, role)) {
  roles[role]();
} else {
  deaf();
  note(file, role);
  stay(seconds);
}
