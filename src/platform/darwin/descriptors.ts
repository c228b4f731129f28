/** Open descriptors of a process, as libproc lists and describes them. Their contents stay untouched. */
import type { XnuCalls } from "./calls.ts";
import {
  decodeDescriptorList,
  decodePath,
  decodePipe,
  decodeSocket,
  descriptorBytes,
  type ListedDescriptor,
} from "./descriptor-structs.ts";
import type { XnuDescriptor } from "./xnu.ts";

/** PROC_PIDLISTFDS of proc_pidinfo, and flavors of proc_pidfdinfo (bsd/sys/proc_info.h). */
const listDescriptors = 1;
const flavor = { vnodePath: 2, socket: 3, pipe: 6 };
/** A table that grows is asked for again, so often. */
const looksMax = 8;

type Calls = Pick<XnuCalls, "proc_pidinfo" | "proc_pidfdinfo">;

/** Undefined when the kernel gives no list, which it does for a process without descriptors, too. */
function list(calls: Calls, pid: number): ListedDescriptor[] | undefined {
  for (let look = 0; ; look += 1) {
    const room = calls.proc_pidinfo(pid, listDescriptors, 0, null, 0);
    if (room <= 0) return undefined;
    const bytes = Buffer.alloc(room * 2);
    const length = calls.proc_pidinfo(pid, listDescriptors, 0, bytes, bytes.length);
    if (length <= 0) return undefined;
    if (length < bytes.length || look === looksMax) return decodeDescriptorList(bytes.subarray(0, length));
  }
}

/** Undefined: closed, or used for something else, since it was listed. */
function describe(calls: Calls, pid: number, { number, kind }: ListedDescriptor): XnuDescriptor | undefined {
  const ask = (what: number, size: number): Buffer => {
    const bytes = Buffer.alloc(size);
    return calls.proc_pidfdinfo(pid, number, what, bytes, size) === size ? bytes : bytes.subarray(0, 0);
  };
  if (kind === "pipe") {
    const pipe = decodePipe(ask(flavor.pipe, descriptorBytes.pipe));
    return pipe === undefined ? undefined : { number, kind, ...pipe };
  }
  if (kind === "socket") {
    const socket = decodeSocket(ask(flavor.socket, descriptorBytes.socket));
    return socket === undefined ? undefined : { number, kind, socket };
  }
  if (kind === "file") {
    const path = decodePath(ask(flavor.vnodePath, descriptorBytes.vnodeWithPath));
    // A file that was removed has no path.
    return { number, kind, path: path ?? "" };
  }
  return { number, kind };
}

/** `maySee`: the process is one whose descriptors are shown; `isThere`: it exists, whoever's it is. */
export function descriptorsOf(
  calls: Calls,
  pid: number,
  { maySee, isThere }: { maySee: () => boolean; isThere: () => boolean },
): readonly XnuDescriptor[] | "denied" | "gone" {
  const listed = list(calls, pid);
  if (listed !== undefined)
    return listed.map((each) => describe(calls, pid, each)).filter((each) => each !== undefined);
  if (!isThere()) return "gone";
  return maySee() ? [] : "denied";
}
