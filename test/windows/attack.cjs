/**
 * Trees that hide, for the suites under wine. Usage: node attack.cjs NAME FILE [ROLE]. Each process adds its number to FILE; the
 * first one prints "ready" once all are there. Everything is started detached, or libuv's own job would end it with its parent.
 */
const { spawn } = require("node:child_process");
const { appendFileSync, readFileSync } = require("node:fs");

const [, self, name, file, role = "main", rest = "0"] = process.argv;
const clearedEnvironment = { SystemRoot: process.env.SystemRoot };

const stay = () => setInterval(() => {}, 1_000_000);
const record = (line = process.pid) => appendFileSync(file, `${line}\n`);

function start(nextRole, { count = 0, ...options } = {}) {
  const words = [self, name, file, nextRole, String(count)];
  const child = spawn(process.execPath, words, { detached: true, stdio: "ignore", windowsHide: true, ...options });
  child.unref();
  return child;
}

function whenThere(lines) {
  if (readFileSync(file, "utf8").split("\n").length > lines) process.stdout.write("ready\n");
  else setTimeout(() => whenThere(lines), 5);
}

function kernelFunctions() {
  const kernel = require("koffi").load("kernel32.dll");
  const handle = "intptr_t";
  const bytes = "void *";
  const declare = (called, result, ...parameters) => kernel.func("__stdcall", called, result, parameters);
  const attributeParameters = [bytes, "uint32", "uintptr_t", bytes, "uintptr_t", bytes, bytes];
  const processParameters = [bytes, bytes, bytes, bytes, "int", "uint32", bytes, bytes, bytes, bytes];
  return {
    create: declare("CreateProcessW", "int", ...processParameters),
    lastError: declare("GetLastError", "uint32"),
    open: declare("OpenProcess", handle, "uint32", "int", "uint32"),
    initialize: declare("InitializeProcThreadAttributeList", "int", bytes, "uint32", "uint32", bytes),
    update: declare("UpdateProcThreadAttribute", "int", ...attributeParameters),
    addressOf: (buffer) => require("koffi").address(buffer),
  };
}

const staying = () => Buffer.from(`"${process.execPath}" "${self}" ${name} "${file}" stay\0`, "utf16le");
const withoutWindow = 0x8000000;

/** What a program can ask of Windows to get out of a job; the job refuses it with error 5. */
function breakAway() {
  const { create, lastError } = kernelFunctions();
  const startup = Buffer.alloc(104);
  startup.writeUInt32LE(104, 0);
  const breakaway = 0x1000000;
  const flags = (breakaway | withoutWindow) >>> 0;
  const isOut = create(null, staying(), null, null, 0, flags, null, null, startup, Buffer.alloc(24)) !== 0;
  record(isOut ? "broke away" : `refused ${lastError()}`);
}

/** The one way out of a job that needs no rights: another process as the parent, whose jobs count. The marker goes along. */
function escapeByParent() {
  const { create, lastError, open, initialize, update, addressOf } = kernelFunctions();
  const mayBeParent = 0x80;
  const parent = Buffer.alloc(8);
  parent.writeBigInt64LE(BigInt(open(mayBeParent, 0, process.ppid)));
  const size = Buffer.alloc(8);
  initialize(null, 1, 0, size);
  const list = Buffer.alloc(Number(size.readBigUInt64LE()));
  initialize(list, 1, 0, size);
  const parentAttribute = 0x20000;
  update(list, 0, parentAttribute, parent, 8, null, null);
  const startup = Buffer.alloc(112);
  startup.writeUInt32LE(112, 0);
  startup.writeBigUInt64LE(addressOf(list), 104);
  const extended = 0x80000;
  const flags = (extended | withoutWindow) >>> 0;
  if (create(null, staying(), null, null, 0, flags, null, null, startup, Buffer.alloc(24)) === 0)
    record(`not escaped: ${lastError()}`);
}

const linkMs = 100;
const roles = {
  stay,
  /** Starts another and ends. */
  double: () => start("stay", { env: process.env.HOLDFAST_RUN === undefined ? clearedEnvironment : process.env }),
  deaf() {
    for (const signal of ["SIGINT", "SIGBREAK", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
    stay();
  },
  breakaway() {
    breakAway();
    start("stay");
    stay();
  },
  /** A tree in motion: each link starts the next one and ends. */
  link() {
    setTimeout(() => {
      start("link");
      setTimeout(() => process.exit(0), linkMs);
    }, linkMs);
  },
  deep() {
    if (Number(rest) > 0) start("deep", { count: Number(rest) - 1 });
    stay();
  },
};

const trees = {
  group: () => (start("stay"), 2),
  setsid: () => (start("stay"), 2),
  "double-fork": () => (start("double"), 3),
  cleared: () => (start("stay", { env: clearedEnvironment }), 2),
  "cleared-double-fork": () => (start("double", { env: clearedEnvironment }), 3),
  deaf: () => (start("deaf"), 2),
  "other-parent": () => (escapeByParent(), 2),
  breakaway: () => (start("breakaway"), 4),
  "holds-stdout": () => (start("stay", { stdio: ["ignore", "inherit", "inherit"] }), 2),
  chain: () => (start("link"), 20),
  chains: () => (Array.from({ length: 3 }, () => start("link")), 30),
  wide: () => (Array.from({ length: 24 }, () => start("stay")), 25),
  deep: () => (start("deep", { count: 14 }), 16),
};

record();
if (role === "main") {
  if (name === "deaf") roles.deaf();
  else stay();
  // The end of its input tells a server to end; none of these does.
  process.stdin.on("error", () => {}).resume();
  whenThere(trees[name]());
} else {
  roles[role]();
}
