/**
 * What the self-test's programs for Node.js share. Each process that must be ended is a line "pid startTime role" in a file.
 * All are started detached, or libuv's own job would end them with whoever started them.
 */
const { spawn } = require("node:child_process");
const { appendFileSync, readFileSync } = require("node:fs");

const bytes = "void *";
const lookMs = 10;
const waitMs = 60_000;

let library;
/** A function of Windows, independent of the bindings under test. */
function native(name, result, parameters) {
  library ??= { kernel: require("koffi").load("kernel32.dll"), system: require("koffi").load("ntdll.dll") };
  return (name.startsWith("Nt") ? library.system : library.kernel).func("__stdcall", name, result, parameters);
}

/** The creation time of this process, by which it is told from a later one with its number. */
function ownStartTime() {
  const [created, ended, kernel, user] = [0, 0, 0, 0].map(() => Buffer.alloc(8));
  const self = native("GetCurrentProcess", "intptr_t", [])();
  const read = native("GetProcessTimes", "int", ["intptr_t", bytes, bytes, bytes, bytes]);
  if (read(self, created, ended, kernel, user) === 0) throw new Error("this process cannot see its own times");
  return created.readBigUInt64LE();
}

const note = (file, role) => appendFileSync(file, `${process.pid} ${ownStartTime()} ${role}\n`);

/** What nobody ends is over after this. */
const stay = (seconds) => void setTimeout(() => process.exit(0), Number(seconds) * 1000);

/** An environment without anything of ours, in which a program of Windows can still start. */
const cleared = { SystemRoot: process.env.SystemRoot };

function start(words, options = {}) {
  const given = { detached: true, stdio: "ignore", windowsHide: true, ...options };
  spawn(process.execPath, words, given).unref();
}

/** Calls back once so many processes are listed; gives up after a minute. */
function whenListed(file, count, then) {
  const until = Date.now() + waitMs;
  const look = () => {
    const isThere = readFileSync(file, "latin1").split("\n").length > count;
    if (isThere) then();
    else if (Date.now() < until) setTimeout(look, lookMs);
  };
  look();
}

module.exports = { bytes, cleared, native, note, start, stay, whenListed };
