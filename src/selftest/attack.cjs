/**
 * node attack.cjs NAME FILE SECONDS [ROLE [COUNT]]: attack.sh for Windows, one way of hiding a process per NAME. "ready" on stdout
 * says that all processes are listed in FILE. Everything here is bounded: what nobody ends does nothing and is over after SECONDS.
 */
const { bytes, cleared, native, note, start, stay, whenListed } = require("./note.cjs");

const [, self, name, file, seconds, role = "leader", count = "0"] = process.argv;
const begin = (nextRole, options = {}, rest = "0") => start([self, name, file, seconds, nextRole, rest], options);

const linkMs = 50;
const linksMax = 200;
const withoutWindow = 0x800_0000;

function deaf() {
  for (const signal of ["SIGINT", "SIGBREAK", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
}

/** Starts a process that hides, by Windows itself; false: Windows refused. */
function create(flags, startup) {
  const parameters = [bytes, bytes, bytes, bytes, "int", "uint32", bytes, bytes, bytes, bytes];
  const line = Buffer.from(`"${process.execPath}" "${self}" ${name} "${file}" ${seconds} hidden\0`, "utf16le");
  const call = native("CreateProcessW", "int", parameters);
  return call(null, line, null, null, 0, (flags | withoutWindow) >>> 0, null, null, startup, Buffer.alloc(24)) !== 0;
}

/** Asks to be born outside the job. */
function breakAway() {
  const startup = Buffer.alloc(104);
  startup.writeUInt32LE(104, 0);
  return create(0x100_0000, startup);
}

/** Names another process as the parent, whose jobs count. */
function otherParent() {
  const parent = Buffer.alloc(8);
  const open = native("OpenProcess", "intptr_t", ["uint32", "int", "uint32"]);
  const mayBeParent = 0x80;
  parent.writeBigInt64LE(BigInt(open(mayBeParent, 0, process.ppid)));
  const size = Buffer.alloc(8);
  const initialize = native("InitializeProcThreadAttributeList", "int", [bytes, "uint32", "uint32", bytes]);
  initialize(null, 1, 0, size);
  const list = Buffer.alloc(Number(size.readBigUInt64LE()));
  initialize(list, 1, 0, size);
  const attributes = [bytes, "uint32", "uintptr_t", bytes, "uintptr_t", bytes, bytes];
  native("UpdateProcThreadAttribute", "int", attributes)(list, 0, 0x2_0000, parent, 8, null, null);
  const startup = Buffer.alloc(112);
  startup.writeUInt32LE(112, 0);
  startup.writeBigUInt64LE(require("koffi").address(list), 104);
  return create(0x8_0000, startup);
}

/** Each starts what hides and says how many processes there will be. */
const ways = {
  group: () => (begin("hidden"), 2),
  "double-fork": () => (begin("between"), 2),
  cleared: () => (begin("hidden", { env: cleared }), 2),
  "cleared-double-fork": () => (begin("between", { env: cleared }), 2),
  stopped: () => (begin("stopped"), 2),
  deaf: () => (deaf(), begin("hidden"), 2),
  chain: () => (begin("chain", {}, String(linksMax)), 6),
  "holds-stdout": () => (begin("hidden", { stdio: ["ignore", "inherit", "ignore"] }), 2),
  breakaway: () => (begin(breakAway() ? "hidden" : "refused"), 2),
  "other-parent": () => {
    if (!otherParent()) throw new Error("Windows refuses another parent");
    return 2;
  },
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
  stopped() {
    note(file, "stopped");
    native("NtSuspendProcess", "int", ["intptr_t"])(native("GetCurrentProcess", "intptr_t", [])());
    stay(seconds);
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
