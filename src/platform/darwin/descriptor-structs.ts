/**
 * What the kernel of macOS writes about descriptors, decoded from its bytes: structures of bsd/sys/proc_info.h in their 64-bit
 * layout, the same on arm64 and x64. Anything shorter than its structure is undefined.
 */
import type { XnuEnds, XnuPipe, XnuSocket } from "./xnu.ts";

/** Sizes in bytes. */
export const descriptorBytes = {
  listed: 8,
  pipe: 184,
  socket: 792,
  vnodeWithPath: 1200,
} as const;

/** FREAD and FWRITE of bsd/sys/fcntl.h, in `fi_openflags`. */
const opened = { reads: 0x1, writes: 0x2 };
/** PIPE_EOF of bsd/sys/pipe.h. */
const pipeAtEnd = 0x80;
/** Bits of `soi_state`. */
const socketState = { cannotSend: 0x10, cannotReceive: 0x20, disconnected: 0x2000 };
/** SO_ACCEPTCONN of bsd/sys/socket.h, in `soi_options`. */
const acceptsConnections = 0x2;
/** SOCK_STREAM. */
const typeStream = 1;
/** SOCKINFO_TCP and SOCKINFO_UN of `soi_kind`. */
const socketKind = { tcp: 2, unix: 3 };
/** INI_IPV6 of `insi_vflag`. */
const isIpv6 = 0x2;

/** PROX_FDTYPE_VNODE, _SOCKET and _PIPE. */
const descriptorTypes: Readonly<Record<number, "file" | "socket" | "pipe">> = { 1: "file", 2: "socket", 6: "pipe" };

/** TSI_S_CLOSED to TSI_S_TIME_WAIT, by number. */
const tcpStates = [
  "CLOSED",
  "LISTEN",
  "SYN-SENT",
  "SYN-RECEIVED",
  "ESTABLISHED",
  "CLOSE-WAIT",
  "FIN-WAIT-1",
  "CLOSING",
  "LAST-ACK",
  "FIN-WAIT-2",
  "TIME-WAIT",
];

export interface ListedDescriptor {
  readonly number: number;
  readonly kind: "file" | "socket" | "pipe" | "other";
}

/** An array of struct proc_fdinfo; an incomplete last entry is left out. */
export function decodeDescriptorList(bytes: Buffer): ListedDescriptor[] {
  const found: ListedDescriptor[] = [];
  for (let at = 0; at + descriptorBytes.listed <= bytes.length; at += descriptorBytes.listed) {
    const number = bytes.readInt32LE(at);
    if (number >= 0) found.push({ number, kind: descriptorTypes[bytes.readUInt32LE(at + 4)] ?? "other" });
  }
  return found;
}

/** `fi_openflags` of struct proc_fileinfo, which begins each of these structures. */
function endsOf(bytes: Buffer): XnuEnds {
  const flags = bytes.readUInt32LE(0);
  return { reads: (flags & opened.reads) !== 0, writes: (flags & opened.writes) !== 0 };
}

/** struct pipe_fdinfo, as fill_pipeinfo of bsd/kern/sys_pipe.c fills it; pipeclose takes the peer away and sets PIPE_EOF. */
export function decodePipe(bytes: Buffer): (XnuPipe & XnuEnds) | undefined {
  if (bytes.length < descriptorBytes.pipe) return undefined;
  return {
    ...endsOf(bytes),
    handle: bytes.readBigUInt64LE(160), // pipe_handle
    peer: bytes.readBigUInt64LE(168), // pipe_peerhandle
    isAtEnd: (bytes.readInt32LE(176) & pipeAtEnd) !== 0, // pipe_status
  };
}

/** Ports lie in network order in the low half of an int. */
const portAt = (bytes: Buffer, at: number) => bytes.readUInt16BE(at);

/** A struct in6_addr, or an in4in6_addr, whose last four bytes are the address. */
function addressAt(bytes: Buffer, at: number, isVersion6: boolean): string {
  if (!isVersion6) return [...bytes.subarray(at + 12, at + 16)].join(".");
  const groups = Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(at + index * 2).toString(16));
  const mapped = groups.slice(0, 5).every((group) => group === "0") && groups[5] === "ffff";
  if (mapped) return [...bytes.subarray(at + 12, at + 16)].join(".");
  return new URL(`http://[${groups.join(":")}]`).hostname.slice(1, -1);
}

/** `sun_len` of a struct sockaddr_un that names a path; an unbound one has none. */
const hasPath = (bytes: Buffer, at: number) => bytes.readUInt8(at) > 2 && bytes.readUInt8(at + 2) !== 0;

/** struct socket_fdinfo, as fill_socketinfo of bsd/kern/socket_info.c fills it. */
export function decodeSocket(bytes: Buffer): XnuSocket | undefined {
  if (bytes.length < descriptorBytes.socket) return undefined;
  const handle = bytes.readBigUInt64LE(160); // soi_so
  const state = bytes.readUInt16LE(192); // soi_state
  const shut = socketState.cannotSend | socketState.cannotReceive | socketState.disconnected;
  const common = {
    handle,
    isStream: bytes.readInt32LE(176) === typeStream, // soi_type
    isListening: (bytes.readUInt16LE(188) & acceptsConnections) !== 0, // soi_options
    isShut: (state & shut) === shut,
  };
  const kind = bytes.readInt32LE(256); // soi_kind
  if (kind === socketKind.unix)
    return {
      ...common,
      kind: "unix",
      peer: bytes.readBigUInt64LE(264), // unsi_conn_so
      hasName: hasPath(bytes, 280), // unsi_addr
      peerHasName: hasPath(bytes, 535), // unsi_caddr, behind SOCK_MAXADDRLEN bytes
    };
  if (kind !== socketKind.tcp) return { ...common, kind: "other" };
  const isVersion6 = (bytes.readUInt8(288) & isIpv6) !== 0; // insi_vflag
  return {
    ...common,
    kind: "tcp",
    state: tcpStates[bytes.readInt32LE(344)] ?? "?", // tcpsi_state
    remote: addressAt(bytes, 296, isVersion6), // insi_faddr
    remotePort: portAt(bytes, 264), // insi_fport
    local: addressAt(bytes, 312, isVersion6), // insi_laddr
    localPort: portAt(bytes, 268), // insi_lport
  };
}

/** struct vnode_fdinfowithpath: `vip_path`, at most MAXPATHLEN bytes. */
export function decodePath(bytes: Buffer): string | undefined {
  if (bytes.length < descriptorBytes.vnodeWithPath) return undefined;
  const path = bytes.subarray(176, descriptorBytes.vnodeWithPath);
  const end = path.indexOf(0);
  return path.toString("utf8", 0, end === -1 ? path.length : end);
}
