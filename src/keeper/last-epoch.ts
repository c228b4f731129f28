/**
 * The number of the newest epoch, besides the ledger. Sweeps spare the runs and fences of their own epoch by its number, and
 * sessions belong to it; so a number must not come back when the ledger was moved away, or lost its last rows with the power.
 */
import { readFileSync } from "node:fs";
import { HoldfastError } from "../errors.ts";
import { reasonOf } from "../plain-reason.ts";
import { writeDurable } from "../platform/self/private-file.ts";
import type { StatePaths } from "./state-directory.ts";

/** 0 when it is missing or no number: then the ledger alone counts. */
export function readLastEpoch({ epoch }: StatePaths): number {
  try {
    const number = /^(\d{1,15})\n$/.exec(readFileSync(epoch, "utf8"))?.[1];
    return number === undefined ? 0 : Number(number);
  } catch {
    return 0; // first start, or an earlier version was here
  }
}

/** Throws `state_unusable`. */
export function writeLastEpoch({ epoch: file }: StatePaths, epoch: number): void {
  try {
    writeDurable(file, `${epoch}\n`);
  } catch (cause) {
    const message = `${file} cannot be written: ${reasonOf(cause)}; see that the state directory has room and can be written`;
    throw new HoldfastError("state_unusable", message, { cause });
  }
}
