/** Exit codes of Windows in words: a process that crashed ends with the NTSTATUS of what stopped it. */

/** Values and meanings: [MS-ERREF] 2.3.1, and the exception codes of the Visual C++ runtime. */
const statusWords: ReadonlyMap<number, string> = new Map([
  [0x4001_0004, "ended by the system, as at a shutdown"],
  [0x8000_0003, "stopped at a breakpoint, as after a failed assertion or out of memory in JavaScript"],
  [0xc000_0005, "read or wrote memory that it must not (access violation)"],
  [0xc000_0006, "a page of its program or a mapped file could not be read"],
  [0xc000_0017, "out of memory"],
  [0xc000_001d, "its program has an instruction that this processor lacks"],
  [0xc000_0022, "the system denied access to something it needs to start"],
  [0xc000_0043, "a file that it needs to start is in use"],
  [0xc000_0044, "a limit of its job was reached"],
  [0xc000_007b, "a program or library of another architecture, or damaged"],
  [0xc000_0094, "divided by zero"],
  [0xc000_0096, "used an instruction that only the system may use"],
  [0xc000_00fd, "its stack overflowed"],
  [0xc000_012d, "out of memory: the system cannot commit more"],
  [0xc000_0135, "a library that it needs is missing"],
  [0xc000_0138, "a library that it needs is of another version"],
  [0xc000_0139, "a library that it needs lacks a function"],
  [0xc000_013a, "ended by Ctrl+C, Ctrl+Break, or by closing its console"],
  [0xc000_0142, "a library that it needs failed to start, as at a logoff"],
  [0xc000_0374, "its heap is damaged"],
  [0xc000_0409, "ended itself at once (abort), or its stack is damaged"],
  [0xc000_0417, "passed an invalid argument to the C runtime"],
  [0xc000_0602, "ended itself at once (fail fast)"],
  [0xe043_4352, "an unhandled .NET exception"],
  [0xe06d_7363, "an unhandled C++ exception"],
]);

/** Bits 31 and 30 of an NTSTATUS are its severity; programs choose small codes. */
const errorBits = 0xc000_0000;

/** As unsigned 32 bits: Node and some shells print large codes as negative numbers. */
function unsigned(code: number): number {
  return code >>> 0;
}

/** `0xc0000005`, as reference pages write it. */
function hexadecimal(code: number): string {
  return `0x${unsigned(code).toString(16).padStart(8, "0")}`;
}

/** Whether the system, and not the program, chose this exit code. */
export function isStatus(code: number): boolean {
  const value = unsigned(code);
  return statusWords.has(value) || (value & errorBits) >>> 0 === errorBits;
}

/** What an exit code says about a crash, with the code as reference pages write it; undefined for a code of the program's own. */
export function describeStatus(code: number): string | undefined {
  if (!isStatus(code)) return undefined;
  const words = statusWords.get(unsigned(code));
  return words === undefined ? `status ${hexadecimal(code)}` : `${words}; status ${hexadecimal(code)}`;
}
