/** For the self-test: an independent look at processes. */
import { release } from "node:os";
import { HoldfastError } from "../../errors.ts";
import { sweepOwner } from "../sweep.ts";
import type { Witness } from "../types.ts";
import { darwin } from "./system.ts";

export const witness: Witness = {
  machine: () => ({
    system: `Darwin ${release()}`,
    under: undefined,
    hasSystemd: undefined,
    isRoot: process.getuid?.() === 0,
  }),
  trees: "macos",
  isLive({ pid, startTime }) {
    const found = darwin.xnu.process(pid);
    return found !== undefined && found.state !== "zombie" && startTime.startsWith(`${found.uniqueId}.`);
  },
  reaperProgram() {
    throw new HoldfastError("unsupported_platform", "macOS has no subreapers");
  },
  endOwner: (owner, boundMs) => sweepOwner(darwin, owner, () => false, boundMs),
};
