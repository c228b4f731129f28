/**
 * Asks the kernel for every unix socket of this network namespace and its peer (sock_diag, as `ss -xp` does). /proc/net/unix
 * names no peers, and without them it is unknown whether the other end of a socketpair is still held.
 */
import { createRequire } from "node:module";
import type { UnixSocket } from "../../look.ts";

type Writable<T> = { -readonly [K in keyof T]: T[K] };

/** From include/uapi/linux: netlink.h, sock_diag.h, unix_diag.h. */
const afNetlink = 16;
const netlinkSockDiag = 4;
const sockRawCloseOnExec = 3 | 0o2000000;
const sockDiagByFamily = 20;
const requestDump = 0x1 | 0x300;
const messageError = 2;
const messageDone = 3;
const show = { name: 0x1, peer: 0x4 };
const attribute = { name: 0, peer: 2, shutdown: 6 };
const familyUnix = 1;
const typeStream = 1;
const stateListening = 10;
const shutBoth = 3;
const headerBytes = 16;
const bufferBytes = 256 * 1024;

interface NetlinkCalls {
  socket(family: number, type: number, protocol: number): number;
  send(descriptor: number, data: Buffer, length: number, flags: number): number;
  recv(descriptor: number, data: Buffer, length: number, flags: number): number;
  close(descriptor: number): number;
}

let loaded: NetlinkCalls | undefined;

function netlinkCalls(): NetlinkCalls {
  if (loaded !== undefined) return loaded;
  const koffi = createRequire(import.meta.url)("koffi") as typeof import("koffi").default;
  const libc = koffi.load(null);
  loaded = {
    socket: libc.func("int socket(int, int, int)"),
    send: libc.func("long send(int, uint8_t *data, unsigned long length, int flags)"),
    recv: libc.func("long recv(int, uint8_t *data, unsigned long length, int flags)"),
    close: libc.func("int close(int)"),
  };
  return loaded;
}

function makeRequest(): Buffer {
  const request = Buffer.alloc(headerBytes + 24);
  request.writeUInt32LE(request.length, 0);
  request.writeUInt16LE(sockDiagByFamily, 4);
  request.writeUInt16LE(requestDump, 6);
  request.writeUInt8(familyUnix, headerBytes);
  request.writeUInt32LE(0xffff_ffff, headerBytes + 4); // every state
  request.writeUInt32LE(show.name | show.peer, headerBytes + 12);
  request.fill(0xff, headerBytes + 16); // no cookie
  return request;
}

/** One socket of an answer: struct unix_diag_msg and its attributes, from `at` to `end`. */
function parseSocket(data: Buffer, at: number, end: number): UnixSocket {
  const socket: Writable<UnixSocket> = {
    inode: data.readUInt32LE(at + 4),
    peer: 0,
    isStream: data[at + 1] === typeStream,
    isListening: data[at + 2] === stateListening,
    hasName: false,
    isShut: false,
  };
  for (let place = at + 16; place + 4 <= end;) {
    const length = data.readUInt16LE(place);
    if (length < 4) break;
    const kind = data.readUInt16LE(place + 2);
    if (kind === attribute.peer) socket.peer = data.readUInt32LE(place + 4);
    else if (kind === attribute.name) socket.hasName = length > 4;
    else if (kind === attribute.shutdown) socket.isShut = data[place + 4] === shutBoth;
    place += (length + 3) & ~3;
  }
  return socket;
}

/** By inode; undefined where the kernel denies it (no unix_diag, or a sandbox forbids netlink). */
export function readUnixSockets(): Map<number, UnixSocket> | undefined {
  const calls = netlinkCalls();
  const descriptor = calls.socket(afNetlink, sockRawCloseOnExec, netlinkSockDiag);
  if (descriptor < 0) return undefined;
  try {
    const request = makeRequest();
    if (calls.send(descriptor, request, request.length, 0) !== request.length) return undefined;
    const found = new Map<number, UnixSocket>();
    const data = Buffer.alloc(bufferBytes);
    for (;;) {
      const length = calls.recv(descriptor, data, data.length, 0);
      if (length <= 0) return undefined;
      for (let at = 0; at + headerBytes <= length;) {
        const messageBytes = data.readUInt32LE(at);
        const type = data.readUInt16LE(at + 4);
        if (type === messageDone) return found;
        if (type === messageError || messageBytes < headerBytes) return undefined;
        const one = parseSocket(data, at + headerBytes, at + messageBytes);
        found.set(one.inode, one);
        at += (messageBytes + 3) & ~3;
      }
    }
  } finally {
    calls.close(descriptor);
  }
}
