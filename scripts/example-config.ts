/** Copies the example config to a place that git ignores, unless one is there: `holdfast add` then never edits a tracked file. */
import { constants, copyFileSync, mkdirSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const [, , target = ".holdfast/holdfast.json"] = process.argv;
mkdirSync(dirname(target), { recursive: true });
try {
  copyFileSync(fileURLToPath(new URL("../examples/holdfast.json", import.meta.url)), target, constants.COPYFILE_EXCL);
} catch (thrown) {
  if ((thrown as NodeJS.ErrnoException).code !== "EEXIST") throw thrown; // what is there is the user's own by now
}
