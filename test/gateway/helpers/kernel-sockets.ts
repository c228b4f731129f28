/** What the kernel knows of a server's TCP connections: the truth that every count of ours is held to. */
import { readFileSync, readdirSync, readlinkSync } from "node:fs";

const states = [
  "",
  "ESTABLISHED",
  "SYN-SENT",
  "SYN-RECV",
  "FIN-WAIT-1",
  "FIN-WAIT-2",
  "TIME-WAIT",
  "CLOSED",
  "CLOSE-WAIT",
  "LAST-ACK",
  "LISTEN",
  "CLOSING",
];

export interface KernelSocket {
  localPort: number;
  remotePort: number;
  state: string;
  /** Whether a process holds a descriptor of it: the kernel keeps orphans without one. */
  held: boolean;
}

/** The server's side of every connection to a port, TIME-WAIT left out: that state holds nothing and ends by itself. */
export function socketsOf(serverPort: number): KernelSocket[] {
  return ["/proc/net/tcp", "/proc/net/tcp6"]
    .flatMap((file) => readFileSync(file, "latin1").split("\n").slice(1))
    .filter((line) => line !== "")
    .map((line) => {
      const [, local = "", remote = "", state = "0", , , , , , inode] = line.trim().split(/\s+/);
      const port = (address: string) => Number.parseInt(address.split(":")[1] ?? "0", 16);
      return {
        localPort: port(local),
        remotePort: port(remote),
        state: states[Number.parseInt(state, 16)] ?? state,
        held: inode !== "0",
      };
    })
    .filter(({ localPort, state }) => localPort === serverPort && state !== "LISTEN" && state !== "TIME-WAIT");
}

/** Open descriptors of a process that are sockets. */
export function socketDescriptors(pid: number): number {
  return readdirSync(`/proc/${pid}/fd`).filter((name) => {
    try {
      return readlinkSync(`/proc/${pid}/fd/${name}`).startsWith("socket:");
    } catch {
      return false; // closed since it was listed
    }
  }).length;
}
