/**
 * Which of our sockets the kernel sends to and nobody acknowledges: a client whose machine or line is gone, seen long before
 * the kernel itself gives up (about 15 minutes). A WebSocket's heartbeat finds that out by itself; HTTP has none.
 */
import { readFileSync, readlinkSync } from "node:fs";
import type { Socket } from "node:net";

/** The kernel waits twice as long each time, from 200 ms on: six times unheard are more than 12 s. */
const retransmitsMin = 6;

interface WithHandle {
  _handle?: { fd?: number } | null;
}

/** Inodes of the machine's sockets that are in that state; empty where there is no such table. */
export function unheardInodes(tables = ["/proc/net/tcp", "/proc/net/tcp6"]): Set<string> {
  const inodes = new Set<string>();
  for (const table of tables) {
    for (const line of readTable(table)) {
      const [, , , , , , retransmits = "0", , , inode = "0"] = line.trim().split(/\s+/, 10);
      if (Number.parseInt(retransmits, 16) >= retransmitsMin && inode !== "0") inodes.add(inode);
    }
  }
  return inodes;
}

/** Whether a socket of ours is one of them. */
export function isUnheard(socket: Socket, inodes: ReadonlySet<string>): boolean {
  const fd = (socket as WithHandle)._handle?.fd;
  if (fd === undefined || fd < 0) return false;
  try {
    const [, inode = ""] = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/self/fd/${fd}`)) ?? [];
    return inodes.has(inode);
  } catch {
    return false; // it is gone
  }
}

function readTable(file: string): string[] {
  try {
    return readFileSync(file, "latin1").split("\n").slice(1, -1);
  } catch {
    return []; // no such table on this system
  }
}
