/** What a measurement was made on: a table without it says nothing. */
import { readFileSync, readdirSync } from "node:fs";
import os from "node:os";

export function machineLine(): string {
  const cpus = os.cpus();
  const model = cpus[0]?.model.trim() ?? "unknown processor";
  const now = new Date().toISOString().slice(0, 16).replace("T", " ");
  return `${now} UTC, ${model}, ${cpus.length} cores, ${os.type()} ${os.release()}, Node ${process.versions.node}`;
}

/** Resident bytes of one process; 0 when it is gone. */
export function residentBytes(pid: number): number {
  try {
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(readFileSync(`/proc/${pid}/status`, "latin1"))?.[1] ?? 0) * 1024;
  } catch {
    return 0;
  }
}

export function argumentsOf(pid: number): string[] {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, "latin1").split("\0");
  } catch {
    return []; // it ended
  }
}

/** A process and everything below it. */
export function treeOf(root: number): number[] {
  const tree = [root];
  for (const pid of tree) {
    try {
      for (const task of readdirSync(`/proc/${pid}/task`)) {
        const line = readFileSync(`/proc/${pid}/task/${task}/children`, "latin1");
        tree.push(
          ...line
            .split(" ")
            .filter((word) => word.trim() !== "")
            .map(Number),
        );
      }
    } catch {
      // It ended, and its children are someone else's now.
    }
  }
  return tree;
}

export const megabytes = (bytes: number) => (bytes / 1024 / 1024).toFixed(1);
