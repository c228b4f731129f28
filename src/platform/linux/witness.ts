/** For the self-test: an independent look at processes, and the tools for its attacks. */
import { existsSync, readFileSync } from "node:fs";
import { release } from "node:os";
import { sweepOwner } from "../sweep.ts";
import type { Witness } from "../types.ts";
import { installProgram } from "./programs.ts";
import { system } from "./system.ts";

/** What stands in for a real Linux. Both kinds of WSL name their maker in the kernel's release. */
export function subsystemOf(kernel: string): string | undefined {
  if (!/microsoft/i.test(kernel)) return undefined;
  return /WSL2/i.test(kernel) ? "WSL2" : "WSL";
}

export const witness: Witness = {
  machine: () => ({
    system: `Linux ${release()}`,
    under: subsystemOf(release()),
    hasSystemd: existsSync("/run/systemd/system"), // as sd_booted(3) looks
    isRoot: process.getuid?.() === 0,
  }),
  trees: "shell",
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
