/** The calls for pseudoterminals that Node lacks, through koffi: of macOS, and of Linux for tests of the same code. */
import { createRequire } from "node:module";

export interface TerminalCalls {
  /** Lets the other end of this master be opened, and returns its path. Throws when the system refuses. */
  unlock(master: number): string;
  /** Erasing removes whole characters. Throws when the system refuses. */
  useUtf8(descriptor: number): void;
  /** TIOCSWINSZ; the kernel tells the foreground group of a change. */
  resize(descriptor: number, columns: number, rows: number): void;
}

/**
 * TIOCSWINSZ: `_IOW('t', 103, struct winsize)` of bsd/sys/ttycom.h, and of include/uapi/asm-generic/ioctls.h; struct winsize has 8
 * bytes on both.
 */
const setWindowSize = { darwin: 0x8008_7467, linux: 0x5414 };
/** IUTF8 of bsd/sys/termios.h and of asm-generic/termbits.h: of c_iflag, the first field, whose low half is enough of 64 bits. */
const inputIsUtf8 = 0x4000;
/** More than struct termios has anywhere: 72 bytes on macOS, 60 on Linux. */
const termiosBytes = 128;
/** Of TIOCPTYGNAME, which ptsname_r (stdlib.h, since macOS 10.13.4) asks. */
const nameBytes = 128;
/** TCSANOW of termios.h. */
const now = 0;

const loaded = new Map<keyof typeof setWindowSize, TerminalCalls>();

function check(name: string, result: unknown): void {
  if (Number(result) !== 0) throw new Error(`the system refuses ${name}`);
}

export function terminalCalls(system: keyof typeof setWindowSize): TerminalCalls {
  const known = loaded.get(system);
  if (known !== undefined) return known;
  const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi").default;
  const libc = koffi.load(null);
  const grantpt = libc.func("int grantpt(int)");
  const unlockpt = libc.func("int unlockpt(int)");
  const ptsnameR = libc.func("int ptsname_r(int, _Out_ uint8_t *name, size_t length)");
  const ioctl = libc.func("int ioctl(int descriptor, unsigned long request, ...)");
  const tcgetattr = libc.func("int tcgetattr(int, _Out_ uint8_t *rules)");
  const tcsetattr = libc.func("int tcsetattr(int, int when, const uint8_t *rules)");
  const calls: TerminalCalls = {
    unlock(master) {
      check("grantpt", grantpt(master));
      check("unlockpt", unlockpt(master));
      const name = Buffer.alloc(nameBytes);
      check("ptsname_r", ptsnameR(master, name, nameBytes));
      return name.toString("latin1", 0, name.indexOf(0));
    },
    useUtf8(descriptor) {
      const rules = Buffer.alloc(termiosBytes);
      check("tcgetattr", tcgetattr(descriptor, rules));
      rules.writeUInt32LE(rules.readUInt32LE(0) | inputIsUtf8, 0);
      check("tcsetattr", tcsetattr(descriptor, now, rules));
    },
    resize(descriptor, columns, rows) {
      const size = Buffer.alloc(8); // struct winsize: rows, columns, and two unused fields
      size.writeUInt16LE(rows, 0);
      size.writeUInt16LE(columns, 2);
      check("TIOCSWINSZ", ioctl(descriptor, setWindowSize[system], "uint8_t *", size));
    },
  };
  loaded.set(system, calls);
  return calls;
}
