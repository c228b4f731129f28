/** A kernel of bytes behind libproc: it answers as the headers say, to whoever asks as they say. */
import assert from "node:assert/strict";
import { constants } from "node:os";
import type { XnuCalls } from "../../../src/platform/darwin/calls.ts";
import { bsdInfo, descriptorList, Fields, kinfoProc, procArguments, taskInfo, uniqueInfo } from "./header-bytes.ts";

interface Known {
  uniqueId: bigint;
  version: number;
  /** Another user's: only what needs no right is shown. */
  isForeign?: boolean;
  descriptors?: [number: number, type: number][];
  about?: Record<string, Buffer>;
  status?: number;
}

/** Knows some processes, and records signals. */
export class ByteKernel implements XnuCalls {
  readonly known = new Map<number, Known>();
  readonly signals: [pid: number, version: number | "unversioned", signal: number][] = [];
  /** Runs before each answer. */
  meanwhile: (call: string) => void = () => {};
  /** Bytes that each answer is short of. */
  missing = 0;
  readonly proc_signal_with_audittoken: XnuCalls["proc_signal_with_audittoken"];

  constructor({ isOld = false } = {}) {
    this.proc_signal_with_audittoken = isOld
      ? undefined
      : (token, signal) => {
          assert.equal(token.length, 32);
          const [pid, version] = [token.readInt32LE(20), token.readInt32LE(28)];
          this.meanwhile("signal");
          if (this.known.get(pid)?.version !== version) return constants.errno.ESRCH;
          if (this.known.get(pid)?.isForeign === true) return constants.errno.EPERM;
          this.signals.push([pid, version, signal]);
          return 0;
        };
  }

  #write(into: Buffer | null, answer: Buffer | undefined): number {
    if (answer === undefined) return 0;
    if (into === null) return answer.length;
    const length = Math.max(Math.min(answer.length, into.length) - this.missing, 0);
    into.set(answer.subarray(0, length));
    return length;
  }

  proc_listallpids(into: Buffer | null): number {
    this.meanwhile("list");
    const pids = [...this.known.keys(), 0];
    if (into === null) return pids.length + 2; // room for two more, where the kernel leaves 20
    return (
      this.#write(
        into,
        new Fields()
          .u32(...pids)
          .struct()
          .subarray(0, pids.length * 4),
      ) / 4
    );
  }

  proc_pidinfo(pid: number, flavor: number, arg: number, into: Buffer | null): number {
    this.meanwhile(`info ${flavor}`);
    const known = this.known.get(pid);
    if (known === undefined || (known.status === 5 && arg === 0)) return 0;
    const unique = uniqueInfo(known.uniqueId, 77n, known.version);
    if (flavor === 17) return this.#write(into, unique);
    if (flavor === 20) return this.#write(into, new Fields().u64(31, 32, 0, 0, 0).struct());
    if (known.isForeign === true) return 0;
    if (flavor === 4) return this.#write(into, taskInfo(4096n, 240_000_000n, 24_000_000n, 0));
    if (flavor === 18) return this.#write(into, Buffer.concat([bsdInfo(this.#described(pid, known)), unique]));
    assert.equal(flavor, 1);
    const list = descriptorList(...(known.descriptors ?? []));
    // An estimate of the room, as the kernel's.
    return into === null ? list.length + 8 : this.#write(into, list);
  }

  #described(pid: number, { status = 2, isForeign = false }: Known) {
    const place = { pid, ppid: 1, uid: isForeign ? 0 : 501, name: "node", group: pid, device: -1, foreground: 0 };
    return { flags: 0x10, status, ...place, startS: 1000n, startUs: 5n };
  }

  proc_pidfdinfo(pid: number, descriptor: number, flavor: number, into: Buffer): number {
    return this.#write(into, this.known.get(pid)?.about?.[`${descriptor} ${flavor}`]);
  }

  coalition_info_resource_usage(coalition: bigint, into: Buffer): number {
    if (coalition !== 31n) return -1;
    this.#write(into, new Fields().u64(8, 6).struct());
    return 0;
  }

  sysctl(name: Buffer, names: number, into: Buffer, length: Buffer): number {
    const words = Array.from({ length: names }, (_, at) => name.readInt32LE(at * 4));
    assert.equal(length.readBigUInt64LE(0), BigInt(into.length));
    const answer = this.#control(words);
    if (answer === undefined) return -1;
    length.writeBigUInt64LE(BigInt(this.#write(into, answer)), 0);
    return 0;
  }

  #control([, what, ...rest]: readonly number[]): Buffer | undefined {
    if (what === 8)
      return new Fields()
        .u32(1 << 20)
        .struct()
        .subarray(0, 4);
    const pid = rest.at(-1) ?? 0;
    const known = this.known.get(pid);
    this.meanwhile("kinfo");
    if (what === 14) {
      // The kernel answers with nothing, not with an error.
      if (known === undefined) return Buffer.alloc(0);
      return kinfoProc({ ...this.#described(pid, known), flags: 0x4000, ignored: 1 });
    }
    assert.equal(what, 49);
    return known === undefined || known.isForeign === true ? undefined : procArguments("/bin/a", ["a", ""], ["B=1"]);
  }

  sysctlbyname(name: string, into: Buffer, length: Buffer): number {
    if (name !== "kern.bootsessionuuid") return -1;
    const text = Buffer.from("0B5E55ED-0000-4000-8000-00000000B007\0");
    length.writeBigUInt64LE(BigInt(this.#write(into, text)), 0);
    return 0;
  }

  getsid(pid: number): number {
    return this.known.has(pid) ? pid : -1;
  }

  kill(pid: number, signal: number): number {
    this.meanwhile("signal");
    if (!this.known.has(pid)) return -1;
    this.signals.push([pid, "unversioned", signal]);
    return 0;
  }

  mach_timebase_info(into: Buffer): number {
    into.set(new Fields().u32(125, 3).struct());
    return 0;
  }
}
