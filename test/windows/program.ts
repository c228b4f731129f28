/** The program under test as Windows starts it: lib/ where it was just built, else the source. */
import { join } from "node:path";

const root = join(import.meta.dirname, "..", "..");
const isPacked = process.env["HOLDFAST_TEST_PROGRAM"] === "lib";

/** Words after node.exe. */
export const main = ["--disable-warning=ExperimentalWarning", join(root, isPacked ? "lib/main.js" : "src/main.ts")];
/** For machines, which get few of our variables. */
export const programVariable: Record<string, string> = isPacked ? { HOLDFAST_TEST_PROGRAM: "lib" } : {};
