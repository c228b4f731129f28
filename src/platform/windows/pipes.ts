/**
 * Standard streams of a command as sockets of ours: the command's ends are handles that only it inherits. All of it happens in
 * one turn, so that nothing else can be started with these handles.
 */
import { createServer, type Socket } from "node:net";
import { systemClock, inTime } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import { systemRandom } from "../../random.ts";
import { failure, invalidHandle, windows, type Handle } from "./ffi.ts";

/** GENERIC_READ and GENERIC_WRITE, OPEN_EXISTING. */
const readWrite = 0xc000_0000;
const openExisting = 3;
/** FILE_SHARE_READ and FILE_SHARE_WRITE. */
const shared = 0x3;
/** Longer than names that can be listed and guessed in time. */
const nonceBytes = 16;
/** Our own end connects to us at once. */
const connectMsMax = 5000;

/** The command's end, closed by the caller after the start, and the socket at our end. */
export interface ChildStream {
  readonly handle: Handle;
  readonly socket: Promise<Socket> | null;
}

function openFile(path: string): Handle {
  const handle = windows().CreateFileW(path, readWrite, shared, null, openExisting, 0, 0);
  if (handle === invalidHandle) throw failure(`CreateFileW of ${path}`);
  return handle;
}

/** Everybody can list the names of pipes and connect first: the nonce proves that a connection is our own handle. */
export function openPipe(direction: "in" | "out"): ChildStream {
  const path = String.raw`\\.\pipe\holdfast-${process.pid}-${systemRandom.bytes(16).toString("hex")}`;
  const nonce = systemRandom.bytes(nonceBytes);
  const connected = Promise.withResolvers<Socket>();
  const server = createServer({ allowHalfOpen: true, pauseOnConnect: false }, (socket) => {
    socket.on("error", () => {}); // the command is gone; its exit reports that
    readNonce(socket, nonce, () => {
      server.close();
      connected.resolve(socket);
    });
  });
  server.on("error", connected.reject);
  server.listen(path);
  let handle: Handle;
  try {
    handle = openFile(path);
    if (windows().WriteFile(handle, nonce, nonceBytes, Buffer.alloc(4), null) === 0) throw failure("WriteFile");
  } catch (thrown) {
    connected.promise.catch(() => {}); // the reason is thrown
    server.close();
    throw thrown;
  }
  const socket = inTime(systemClock, connected.promise, connectMsMax, undefined).then((found) => {
    if (found === undefined) {
      server.close();
      throw new HoldfastError("spawn_failed", "a pipe of the command does not connect");
    }
    // Closed with the other end, so that no handle outlives its use. A named pipe has no half that could stay open.
    found.once("end", () => found.destroy());
    if (direction === "in") {
      found.resume();
      found.once("finish", () => found.destroy());
    }
    return found;
  });
  socket.catch(() => {}); // the start awaits it
  return { handle, socket };
}

function readNonce(socket: Socket, nonce: Buffer, accept: () => void): void {
  const look = () => {
    const first = socket.read(nonce.length) as Buffer | null;
    if (first === null) return;
    socket.off("readable", look);
    if (first.equals(nonce)) accept();
    else socket.destroy();
  };
  socket.on("readable", look);
}

/** For a stream that is ignored. */
export function openNull(): ChildStream {
  return { handle: openFile("NUL"), socket: null };
}

/** STD_INPUT_HANDLE, STD_OUTPUT_HANDLE and STD_ERROR_HANDLE. */
const standard = [0xffff_fff6, 0xffff_fff5, 0xffff_fff4] as const;
const sameAccess = 0x2;

/** FilePipeLocalInformation, with size and offset of its state; FILE_PIPE_CONNECTED_STATE. */
const pipeInformation = { what: 24, size: 40, state: 32, connected: 3 } as const;

/**
 * Whether our stdout is a pipe whose other end is closed. Asking writes nothing, and is answered after a write under way: not
 * for a stream that another process writes to, too.
 */
export function isUnread(): boolean {
  const own = windows().GetStdHandle(standard[1]);
  const { what, size, state, connected } = pipeInformation;
  const found = Buffer.alloc(size);
  if (windows().NtQueryInformationFile(own, Buffer.alloc(16), found, size, what) !== 0) return false; // no pipe
  return found.readUInt32LE(state) !== connected;
}

/** A copy of our own stream; of one that we lack, a stream that is ignored. */
export function copyOwn(index: 0 | 1 | 2): ChildStream {
  const system = windows();
  const own = system.GetStdHandle(standard[index]);
  if (own === 0 || own === invalidHandle) return openNull();
  const copy = Buffer.alloc(8);
  const self = system.GetCurrentProcess();
  if (system.DuplicateHandle(self, own, self, copy, 0, 0, sameAccess) === 0) throw failure("DuplicateHandle");
  return { handle: Number(copy.readBigInt64LE(0)), socket: null };
}
