/**
 * Counts open handles by the system's list of all of them, since wine does not count those of one process. Usage: node
 * handles.cjs [PID...]; without a number it is its own count, and how many of them have values that only inheritance gives.
 */
const koffi = require("koffi");

const extendedHandleInformation = 64;
const entryBytes = 40;
/** Values are given in order; a fresh Node.js has about 60 handles, at 4 each. */
const ownValueMax = 800;

function handlesOf(pid) {
  const query = koffi
    .load("ntdll.dll")
    .func("__stdcall", "NtQuerySystemInformation", "uint32", ["int", "void *", "uint32", "void *"]);
  let list = Buffer.alloc(1 << 20);
  while (query(extendedHandleInformation, list, list.length, null) !== 0) list = Buffer.alloc(2 * list.length);
  const count = Number(list.readBigUInt64LE(0));
  return Array.from({ length: count }, (_, index) => 16 + entryBytes * index)
    .filter((at) => Number(list.readBigUInt64LE(at + 8)) === pid)
    .map((at) => Number(list.readBigUInt64LE(at + 16)));
}

module.exports = { handlesOf };

if (require.main === module) {
  const pids = process.argv.slice(2).map(Number);
  const own = handlesOf(process.pid);
  const found =
    pids.length > 0
      ? pids.map((pid) => handlesOf(pid).length)
      : [own.length, own.filter((value) => value > ownValueMax).length];
  console.log(found.join(" "));
}
