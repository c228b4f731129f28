/**
 * The program under test. `npm test` names the one that is packed, lib/, because it starts in two thirds of the time; a test
 * run by hand takes dist/, which is built faster.
 */
import { join } from "node:path";
import { root } from "./tiers.ts";

const { HOLDFAST_TEST_PROGRAM, NODE_COMPILE_CACHE } = process.env;

/** Whether lib/ was just built, as `npm test` does. */
export const isBuilt = HOLDFAST_TEST_PROGRAM === "lib";

export const mainFile = join(root, HOLDFAST_TEST_PROGRAM || "dist", "main.js");
/** Each module a file of its own, into which a test can put a defect. */
export const mainOfModules = join(root, "dist/main.js");

/** Only what is loaded gets cheaper by it, not what is done; many hundred processes start in one run of all tests. */
export const compileCache = NODE_COMPILE_CACHE === undefined ? {} : { NODE_COMPILE_CACHE };
