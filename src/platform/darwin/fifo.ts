/** mkfifo(2), which Node does not have. Loaded on first use, in the keeper only: a front may load no addon. */
import { createRequire } from "node:module";

let mkfifo: ((path: string, mode: number) => number) | undefined;

/** Only this user may open it. Throws when the system refuses. */
export function makeFifo(path: string): void {
  if (mkfifo === undefined) {
    const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi").default;
    // From sys/stat.h; mode_t has 16 bits on macOS and 32 on Linux, and each passes in a register.
    mkfifo = koffi.load(null).func("int mkfifo(const char *path, unsigned int mode)") as typeof mkfifo & {};
  }
  if (mkfifo(path, 0o600) !== 0) throw new Error(`cannot make the FIFO ${path}`);
}
