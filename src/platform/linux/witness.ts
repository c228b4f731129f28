/** For the self-test: an independent look at processes, and the tools for its attacks. */
import { readFileSync } from "node:fs";
import { sweepOwner } from "../sweep.ts";
import type { Witness } from "../types.ts";
import { installProgram } from "./programs.ts";
import { system } from "./system.ts";

export const witness: Witness = {
  isLive({ pid, startTime }) {
    try {
      const line = readFileSync(`/proc/${pid}/stat`, "latin1");
      const fields = line.slice(line.lastIndexOf(")") + 2).split(" ");
      return fields[0] !== "Z" && fields[0] !== "X" && fields[19] === startTime;
    } catch {
      return false; // no such process
    }
  },
  reaperProgram: (directory) => installProgram(directory, "launcher"),
  endOwner: (owner, boundMs) => sweepOwner(system, owner, () => false, boundMs),
};
