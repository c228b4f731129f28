/** Linux's data about this process. No addon: the front reads it too. */
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import type { Socket } from "node:net";
import type { OwnTerminal, OwnUsage } from "../types.ts";
import { readProcess } from "./processes.ts";
import { spareDescriptors } from "../unix/spare-descriptors.ts";

/** Undefined where the system gives no figures. */
export function ownUsage(): OwnUsage | undefined {
  try {
    // The descriptor of the listing itself is included.
    const descriptors = spareDescriptors.look(() => readdirSync("/proc/self/fd").length - 1);
    const limits = spareDescriptors.look(() => readFileSync("/proc/self/limits", "latin1"));
    const max = /^Max open files\s+(\d+)/m.exec(limits)?.[1];
    return { descriptors, descriptorsMax: Number(max ?? Number.POSITIVE_INFINITY) };
  } catch {
    return undefined; // no procfs
  }
}

export function ownTerminal(): OwnTerminal {
  const own = readProcess(process.pid);
  if (own === undefined || own.terminal === 0) return "none";
  return own.processGroup === own.foregroundGroup ? "foreground" : "background";
}

/** The kernel doubles the wait each time, from 200 ms on: six retransmits take more than 12 s. */
const retransmitsMin = 6;

/**
 * Finds sockets whose peer has acknowledged nothing for 12 s, by one look at the machine's tables: the peer's machine or line
 * is gone, long before the kernel gives up (about 15 minutes).
 */
export function unacknowledged(tables = ["/proc/net/tcp", "/proc/net/tcp6"]): (socket: Socket) => boolean {
  const inodes = new Set<string>();
  for (const table of tables) {
    for (const line of readTable(table)) {
      const [, , , , , , retransmits = "0", , , inode = "0"] = line.trim().split(/\s+/, 10);
      if (Number.parseInt(retransmits, 16) >= retransmitsMin && inode !== "0") inodes.add(inode);
    }
  }
  return (socket) => inodes.size > 0 && inodes.has(inodeOf(socket));
}

function inodeOf(socket: Socket): string {
  const { fd = -1 } = (socket as { _handle?: { fd?: number } | null })._handle ?? {};
  if (fd < 0) return "";
  try {
    return /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`))?.[1] ?? "";
  } catch {
    return ""; // gone
  }
}

function readTable(file: string): string[] {
  try {
    return readFileSync(file, "latin1").split("\n").slice(1, -1);
  } catch {
    return []; // no such table
  }
}
