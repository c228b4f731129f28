/** The sockets of one local TCP port, by state, with the process at each end. */
import type { Look, TcpSocket } from "../platform/look.ts";

export interface PortEnd {
  address: string;
  port: number;
  /** Empty: kernel-only (such as TIME-WAIT), on another machine, or of a hidden process. */
  pids: number[];
  command: string | null;
  /** Null: not on this machine. */
  state: string | null;
}

export interface PortView {
  port: number;
  states: { state: string; count: number }[];
  listeners: PortEnd[];
  connections: { server: PortEnd; client: PortEnd }[];
  /** Sockets whose process was not found. */
  unattributed: number;
}

const keyOf = (address: string, port: number, other: string, otherPort: number) =>
  `${address} ${port} ${other} ${otherPort}`;

export function viewPort(look: Look, port: number): PortView {
  const all = look.ownTcpSockets();
  const sockets = all.filter(({ localPort, remotePort }) => localPort === port || remotePort === port);
  const byEnds = new Map(sockets.map((one) => [keyOf(one.local, one.localPort, one.remote, one.remotePort), one]));
  let unattributed = 0;
  const endOf = (address: string, number: number, socket: TcpSocket | undefined): PortEnd => {
    const pids = socket === undefined || socket.inode === 0 ? [] : look.socketHolders(socket.inode);
    if (socket !== undefined && socket.inode !== 0 && pids.length === 0) unattributed += 1;
    const [first] = pids;
    const command = first === undefined ? null : look.commandOf(first);
    return {
      address,
      port: number,
      pids: [...new Set(pids)],
      command,
      state: socket?.state ?? null,
    };
  };
  const served = sockets.filter(({ localPort }) => localPort === port);
  const listeners = served.filter(({ state }) => state === "LISTEN").map((one) => endOf(one.local, port, one));
  const connections = served
    .filter(({ state }) => state !== "LISTEN")
    .map((one) => {
      const other = byEnds.get(keyOf(one.remote, one.remotePort, one.local, one.localPort));
      return { server: endOf(one.local, port, one), client: endOf(one.remote, one.remotePort, other) };
    });
  // A client's end without a server's end on this machine.
  const known = new Set(served.map((one) => keyOf(one.remote, one.remotePort, one.local, one.localPort)));
  const lonely = sockets.filter(
    (one) => one.localPort !== port && !known.has(keyOf(one.local, one.localPort, one.remote, one.remotePort)),
  );
  for (const one of lonely)
    connections.push({
      server: endOf(one.remote, port, undefined),
      client: endOf(one.local, one.localPort, one),
    });
  const counts = new Map<string, number>();
  for (const { state } of [...served, ...lonely]) counts.set(state, (counts.get(state) ?? 0) + 1);
  const states = [...counts].map(([state, count]) => ({ state, count })).toSorted((a, b) => b.count - a.count);
  return { port, states, listeners, connections, unattributed };
}
