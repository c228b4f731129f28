/** Gives a file or directory another name, also where another program's short look at it is in the way. */
import { renameSync } from "node:fs";
import { looksBlockRename } from "./platform/access.ts";

/** What Windows answers while a virus scanner, an indexer or a reader has one of the two files open. */
const passing = new Set(["EPERM", "EACCES", "EBUSY"]);

/** Pauses double from 1 ms; all together half a second, which a caller can do without. */
const attemptsMax = 10;

/** Replaces what has the name. Blocks between attempts, where the system needs any. Throws the system's last error. */
export function replaceByRename(from: string, to: string): void {
  for (let attempt = 1; ; attempt += 1) {
    try {
      renameSync(from, to);
      return;
    } catch (thrown) {
      const mayPass = looksBlockRename && passing.has((thrown as NodeJS.ErrnoException).code ?? "");
      if (!mayPass || attempt === attemptsMax) throw thrown;
    }
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 2 ** (attempt - 1));
  }
}
