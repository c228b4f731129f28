/**
 * What the self-test's programs for Node.js share on a Unix without /proc, that is macOS: the interface of note.cjs. The identity is
 * that of the process table of macOS, asked without the bindings under test; on Linux, where tests play it, that of /proc.
 */
const { appendFileSync, existsSync, readFileSync } = require("node:fs");
const { start, stay, whenListed } = require("./note.cjs");

const ownStat = "/proc/self/stat";
/** PROC_PIDT_BSDINFOWITHUNIQID of bsd/sys/proc_info_private.h, and the length of its struct. */
const flavor = 18;
const structBytes = 192;

function startTimeOfXnu() {
  const call = require("koffi")
    .load("/usr/lib/libSystem.B.dylib")
    .func("int proc_pidinfo(int, int, uint64_t, void *, int)");
  const info = Buffer.alloc(structBytes);
  if (call(process.pid, flavor, 0, info, structBytes) !== structBytes)
    throw new Error("this process cannot see itself");
  // pbi_start_tvsec, pbi_start_tvusec, and p_uniqueid of the second struct.
  const startedAtUs = info.readBigUInt64LE(120) * 1_000_000n + info.readBigUInt64LE(128);
  return `${info.readBigUInt64LE(152)}.${startedAtUs}`;
}

function startTimeOfLinux() {
  const line = readFileSync(ownStat, "latin1");
  return line.slice(line.lastIndexOf(")") + 2).split(" ")[19];
}

const ownStartTime = () => (existsSync(ownStat) ? startTimeOfLinux() : startTimeOfXnu());
const note = (file, role) => appendFileSync(file, `${process.pid} ${ownStartTime()} ${role}\n`);

module.exports = { cleared: {}, note, start, stay, whenListed };
