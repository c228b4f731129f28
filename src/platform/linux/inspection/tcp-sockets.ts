/** TCP sockets as /proc/<pid>/net/tcp and tcp6 list them: one network namespace, every state. */
import { readFileSync } from "node:fs";
import type { TcpSocket } from "../../look.ts";

/** By number, from include/net/tcp_states.h. */
const states = [
  "",
  "ESTABLISHED",
  "SYN-SENT",
  "SYN-RECEIVED",
  "FIN-WAIT-1",
  "FIN-WAIT-2",
  "TIME-WAIT",
  "CLOSED",
  "CLOSE-WAIT",
  "LAST-ACK",
  "LISTEN",
  "CLOSING",
  "SYN-RECEIVED",
];

/** The kernel prints each 32-bit word of an address in machine byte order, little-endian on all supported processors. */
function readable(hex: string): string {
  const bytes: number[] = [];
  for (let at = 0; at < hex.length; at += 8) {
    for (let place = 6; place >= 0; place -= 2) bytes.push(Number.parseInt(hex.slice(at + place, at + place + 2), 16));
  }
  if (bytes.length === 4) return bytes.join(".");
  const isMapped = bytes.slice(0, 10).every((byte) => byte === 0) && bytes[10] === 0xff && bytes[11] === 0xff;
  if (isMapped) return bytes.slice(12).join(".");
  const groups = Array.from({ length: 8 }, (_, at) =>
    (((bytes[at * 2] ?? 0) << 8) | (bytes[at * 2 + 1] ?? 0)).toString(16),
  );
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

function parseTcpTable(text: string): TcpSocket[] {
  const lines = text.split("\n");
  const found: TcpSocket[] = [];
  // Most lines share a few addresses.
  const known = new Map<string, string>();
  const addressOf = (hex: string) => {
    const address = known.get(hex) ?? readable(hex);
    known.set(hex, address);
    return address;
  };
  for (const line of lines.slice(1)) {
    const fields = line.trim().split(/\s+/);
    const [local = "", localPort = ""] = (fields[1] ?? "").split(":");
    const [remote = "", remotePort = ""] = (fields[2] ?? "").split(":");
    if (fields.length < 10) continue;
    found.push({
      inode: Number(fields[9]),
      state: states[Number.parseInt(fields[3] ?? "", 16)] ?? "?",
      local: addressOf(local),
      localPort: Number.parseInt(localPort, 16),
      remote: addressOf(remote),
      remotePort: Number.parseInt(remotePort, 16),
    });
  }
  return found;
}

/** Sockets of a process's namespace; empty when access is denied. */
export function readTcpSockets(pid: number | "self"): TcpSocket[] {
  return ["tcp", "tcp6"].flatMap((name) => {
    try {
      return parseTcpTable(readFileSync(`/proc/${pid}/net/${name}`, "latin1"));
    } catch {
      return []; // no IPv6, or the process is gone
    }
  });
}
