/** A job object: the kernel's fence around processes, which it counts and ends as one. */
import type { Excess, TreeLimits } from "../types.ts";
import { failure, windows, type Handle } from "./ffi.ts";

/** Information classes. */
const accountingClass = 1;
const pidsClass = 3;
const portClass = 7;
const limitsClass = 9;
/** JOBOBJECT_BASIC_ACCOUNTING_INFORMATION: size, and offset of ActiveProcesses. */
const accounting = { size: 48, active: 40 };
/** JOBOBJECT_EXTENDED_LIMIT_INFORMATION. */
const limitsLayout = { size: 144, flags: 16, processes: 40, memory: 120 };
/** JOB_OBJECT_LIMIT_…: ACTIVE_PROCESS, JOB_MEMORY and KILL_ON_JOB_CLOSE; no job allows its members to break away. */
const limitFlags = { processes: 0x8, memory: 0x200, killOnClose: 0x2000 };
/** JOB_OBJECT_MSG_ACTIVE_PROCESS_LIMIT and JOB_OBJECT_MSG_JOB_MEMORY_LIMIT. */
const messages: Readonly<Record<number, keyof TreeLimits>> = { 3: "processesMax", 10: "memoryBytesMax" };
const moreData = 234;
const pidsAtFirst = 256;
/** Of messages in one look. */
const messagesMax = 1000;

export class Job implements Disposable {
  readonly handle: Handle;
  readonly #limits: TreeLimits;
  #port: Handle | undefined;
  #excess: Excess | undefined;

  /** Unnamed and not inheritable, so that with this process its last handle goes, and with that every member. */
  constructor(limits: TreeLimits = {}) {
    const system = windows();
    this.handle = system.CreateJobObjectW(null, null);
    if (this.handle === 0) throw failure("CreateJobObjectW");
    this.#limits = limits;
    try {
      this.#setLimits(limits);
      if (limits.processesMax !== undefined || limits.memoryBytesMax !== undefined) this.#hear();
    } catch (thrown) {
      this[Symbol.dispose]();
      throw thrown;
    }
  }

  /** Live processes, whether they can be seen or not. */
  get size(): number {
    return this.#query(accountingClass, accounting.size).readUInt32LE(accounting.active);
  }

  pids(): number[] {
    for (let room = pidsAtFirst; ; room *= 2) {
      const list = Buffer.alloc(8 + 8 * room);
      if (windows().QueryInformationJobObject(this.handle, pidsClass, list, list.length, null) === 0) {
        const { windowsError, message } = failure("QueryInformationJobObject");
        if (windowsError !== moreData) throw new Error(message);
        continue;
      }
      const [assigned, listed] = [list.readUInt32LE(0), list.readUInt32LE(4)];
      if (listed < assigned && assigned > room) continue;
      return Array.from({ length: listed }, (_, index) => Number(list.readBigUInt64LE(8 + 8 * index)));
    }
  }

  assign(process: Handle): void {
    if (windows().AssignProcessToJobObject(this.handle, process) === 0) throw failure("AssignProcessToJobObject");
  }

  /** Ends every member with this exit code. */
  terminate(code: number): void {
    windows().TerminateJobObject(this.handle, code);
  }

  /** The limit that the kernel has held so far. */
  excess(): Excess | undefined {
    if (this.#port !== undefined && this.#excess === undefined) this.#excess = this.#takeMessages(this.#port);
    return this.#excess;
  }

  /** Ends what is left in it. */
  [Symbol.dispose](): void {
    windows().CloseHandle(this.handle);
    if (this.#port !== undefined) windows().CloseHandle(this.#port);
    this.#port = undefined;
  }

  #query(what: number, size: number): Buffer {
    const into = Buffer.alloc(size);
    if (windows().QueryInformationJobObject(this.handle, what, into, size, null) === 0)
      throw failure("QueryInformationJobObject");
    return into;
  }

  #setLimits({ processesMax, memoryBytesMax }: TreeLimits): void {
    const info = Buffer.alloc(limitsLayout.size);
    let flags = limitFlags.killOnClose;
    if (processesMax !== undefined) {
      flags |= limitFlags.processes;
      info.writeUInt32LE(processesMax, limitsLayout.processes);
    }
    if (memoryBytesMax !== undefined) {
      flags |= limitFlags.memory;
      info.writeBigUInt64LE(BigInt(memoryBytesMax), limitsLayout.memory);
    }
    info.writeUInt32LE(flags, limitsLayout.flags);
    if (windows().SetInformationJobObject(this.handle, limitsClass, info, info.length) === 0)
      throw failure("SetInformationJobObject");
  }

  /** The kernel tells of limits through a port, which is only ever asked without waiting. */
  #hear(): void {
    const system = windows();
    const port = system.CreateIoCompletionPort(-1, 0, 0, 1);
    if (port === 0) throw failure("CreateIoCompletionPort");
    this.#port = port;
    const association = Buffer.alloc(16); // JOBOBJECT_ASSOCIATE_COMPLETION_PORT: key and port
    association.writeBigInt64LE(BigInt(port), 8);
    if (system.SetInformationJobObject(this.handle, portClass, association, association.length) === 0)
      throw failure("SetInformationJobObject");
  }

  #takeMessages(port: Handle): Excess | undefined {
    const [message, key, member] = [Buffer.alloc(4), Buffer.alloc(8), Buffer.alloc(8)];
    for (let taken = 0; taken < messagesMax; taken += 1) {
      if (windows().GetQueuedCompletionStatus(port, message, key, member, 0) === 0) return undefined;
      const limit = messages[message.readUInt32LE(0)];
      const allowed = limit === undefined ? undefined : this.#limits[limit];
      if (limit !== undefined && allowed !== undefined) return { limit, allowed };
    }
    return undefined;
  }
}
