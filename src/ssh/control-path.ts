/** Where the control sockets of ssh may lie. */
import { join } from "node:path";

/** Longest path of a unix socket: `sun_path` has 104 bytes on macOS (108 on Linux), the last of them zero. */
const socketBytesMax = 103;
/** A dot and 16 characters, which ssh adds while it creates the socket, and room for one more. */
const suffixBytes = 18;

/** Whether sockets with names of 8 characters fit into a directory. */
export function hasRoomForSockets(directory: string): boolean {
  return Buffer.byteLength(join(directory, "12345678")) <= socketBytesMax - suffixBytes;
}
