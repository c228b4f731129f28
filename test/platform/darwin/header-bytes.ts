/**
 * Structures of macOS as a C compiler lays them out for a 64-bit machine, written field by field in the order of the header: not
 * by the offsets of the decoder, which they test.
 */

/** Writes fields one after the other, each at its natural alignment. */
export class Fields {
  readonly #parts: Buffer[] = [];
  #length = 0;

  #add(bytes: Buffer, alignment: number): this {
    const padding = (alignment - (this.#length % alignment)) % alignment;
    this.#parts.push(Buffer.alloc(padding), bytes);
    this.#length += padding + bytes.length;
    return this;
  }

  u8(...values: number[]): this {
    return this.#add(Buffer.from(values), 1);
  }

  u16(...values: number[]): this {
    for (const value of values) this.#add(Buffer.from(Uint16Array.of(value).buffer), 2);
    return this;
  }

  /** Signed and unsigned alike: the bits are the same. */
  u32(...values: number[]): this {
    for (const value of values) this.#add(Buffer.from(Uint32Array.of(value).buffer), 4);
    return this;
  }

  u64(...values: (bigint | number)[]): this {
    for (const value of values) this.#add(Buffer.from(BigUint64Array.of(BigInt(value)).buffer), 8);
    return this;
  }

  /** A char array of fixed size. */
  chars(size: number, text: string | Buffer = ""): this {
    const bytes = Buffer.alloc(size);
    bytes.set(Buffer.from(text as string), 0);
    return this.#add(bytes, 1);
  }

  /** With the tail padding of a structure that holds a 64-bit field. */
  struct(): Buffer {
    return Buffer.concat([...this.#add(Buffer.alloc(0), 8).#parts]);
  }
}

export interface BsdInfo {
  flags: number;
  status: number;
  pid: number;
  ppid: number;
  uid: number;
  name: string;
  group: number;
  device: number;
  foreground: number;
  startS: bigint;
  startUs: bigint;
}

/** struct proc_bsdinfo. */
export const bsdInfo = (of: BsdInfo): Buffer =>
  new Fields()
    .u32(of.flags, of.status, 0xdead, of.pid, of.ppid)
    .u32(of.uid, 20, 501, 20, 501, 20) // gid, ruid, rgid, svuid, svgid
    .u32(0xdead) // rfu_1
    .chars(16, of.name)
    .chars(32, "a longer name")
    .u32(77, of.group, 3, of.device, of.foreground) // nfiles, pgid, pjobc, e_tdev, e_tpgid
    .u32(-20) // nice
    .u64(of.startS, of.startUs)
    .struct();

/** struct proc_uniqidentifierinfo. */
export const uniqueInfo = (uniqueId: bigint, parentUniqueId: bigint, version: number): Buffer =>
  new Fields()
    .chars(16, Buffer.alloc(16, 0xaa))
    .u64(uniqueId, parentUniqueId)
    .u32(version, 0xbbbb)
    .u64(0xcc, 0xdd)
    .struct();

/** struct proc_taskinfo. */
export const taskInfo = (residentBytes: bigint, user: bigint, system: bigint, running: number): Buffer =>
  new Fields()
    .u64(0x4_0000_0000n, residentBytes, user, system, 1, 2) // virtual, resident, total, threads
    .u32(1, 2, 3, 4, 5, 6, 7, 8, 9, 4, running, 31) // policy to threadnum, numrunning, priority
    .struct();

export interface Kinfo extends Omit<BsdInfo, "flags"> {
  flags: number;
  ignored: number;
}

/** struct kinfo_proc: extern_proc, then eproc with _pcred, _ucred and vmspace. */
export const kinfoProc = (of: Kinfo): Buffer =>
  new Fields()
    .u64(of.startS) // p_starttime: a timeval
    .u32(Number(of.startUs), 0)
    .u64(1, 2) // p_vmspace, p_sigacts
    .u32(of.flags)
    .u8(of.status)
    .u32(of.pid, 0xdead, 0xdead) // p_oppid, p_dupfd
    .u64(3, 4) // user_stack, exit_thread
    .u32(5, 6, 7, 8, 9) // p_debugger, sigwait, p_estcpu, p_cpticks, p_pctcpu
    .u64(10, 11) // p_wchan, p_wmesg
    .u32(12, 13) // p_swtime, p_slptime
    .u64(14, 15, 16, 17, 18, 19) // p_realtimer, p_rtime
    .u64(20, 21, 22) // ticks
    .u32(23) // p_traceflag
    .u64(24) // p_tracep
    .u32(25) // p_siglist
    .u64(26) // p_textvp
    .u32(27, 28, of.ignored, 29) // p_holdcnt, p_sigmask, p_sigignore, p_sigcatch
    .u8(30, 31, 32) // p_priority, p_usrpri, p_nice
    .chars(17, of.name)
    .u64(33, 34) // p_pgrp, p_addr
    .u16(35, 36) // p_xstat, p_acflag
    .u64(37) // p_ru
    // struct eproc
    .u64(38, 39) // e_paddr, e_sess
    .chars(72) // e_pcred.pc_lock
    .u64(40) // pc_ucred
    .u32(501, 501, 20, 20, 1, 0) // p_ruid to p_refcnt, tail padding
    .u32(1, of.uid) // e_ucred.cr_ref, cr_uid
    .u16(1) // cr_ngroups
    .u32(...Array.from({ length: 16 }, () => 20)) // cr_groups
    .u64(41) // e_vm: dummy, padded
    .u64(42) // dummy2
    .u32(43, 44, 45, 46, 47) // dummy3
    .u64(48, 49, 50) // dummy4
    .u32(of.ppid, of.group)
    .u16(51) // e_jobc
    .u32(of.device, of.foreground)
    .u64(52) // e_tsess
    .chars(8, "wait") // e_wmesg
    .u32(53) // e_xsize
    .u16(54, 55, 56) // e_xrssize, e_xccount, e_xswrss
    .u32(57) // e_flag
    .chars(12, "someone") // e_login
    .u32(58, 59, 60, 61) // e_spare
    .struct();

/** struct proc_fileinfo and struct vinfo_stat, which begin the answers about descriptors. */
const described = (openFlags: number): Fields =>
  new Fields()
    .u32(openFlags, 1) // fi_openflags, fi_status
    .u64(0xdead) // fi_offset
    .u32(6, 0) // fi_type, fi_guardflags
    .u32(1) // vst_dev
    .u16(0o10600, 1) // vst_mode, vst_nlink
    .u64(0xdead) // vst_ino
    .u32(501, 20) // vst_uid, vst_gid
    .u64(1, 2, 3, 4, 5, 6, 7, 8, 9, 10) // four times, size, blocks
    .u32(512, 0, 0, 0) // vst_blksize, vst_flags, vst_gen, vst_rdev
    .u64(11, 12); // vst_qspare

/** struct pipe_fdinfo. */
export const pipeInfo = (openFlags: number, handle: bigint, peer: bigint, status: number): Buffer =>
  described(openFlags).u64(handle, peer).u32(status, 0xdead).struct();

/** struct vnode_fdinfowithpath. */
export const pathInfo = (path: string | Buffer): Buffer =>
  described(1)
    .u32(1, 0) // vi_type, vi_pad
    .u32(3, 4) // vi_fsid
    .chars(1024, path)
    .struct();

export interface SocketCommon {
  handle: bigint;
  type: number;
  options: number;
  state: number;
}

/** struct socket_fdinfo up to the union of the protocols; the whole has 792 bytes. */
const socketHead = (of: SocketCommon, kind: number): Fields =>
  described(3)
    .u64(of.handle, 0xdead) // soi_so, soi_pcb
    .u32(of.type, 6, 2) // soi_type, soi_protocol, soi_family
    .u16(of.options, 1, of.state, 2, 3, 4, 5, 6) // to soi_error
    .u32(7) // soi_oobmark
    .u32(1, 2, 3, 4, 5)
    .u16(6, 7) // soi_rcv
    .u32(1, 2, 3, 4, 5)
    .u16(6, 7) // soi_snd
    .u32(kind, 0xdead);

const whole = (bytes: Buffer): Buffer => Buffer.concat([bytes, Buffer.alloc(792 - bytes.length)]);

/** A struct sockaddr_un in its union of SOCK_MAXADDRLEN bytes. */
function unixAddress(path: string | undefined): Buffer {
  const bytes = Buffer.alloc(255);
  if (path === undefined) return bytes;
  bytes[0] = path.length + 2;
  bytes[1] = 1; // AF_UNIX
  bytes.write(path, 2);
  return bytes;
}

export const unixSocketInfo = (of: SocketCommon & { peer: bigint; path?: string; peerPath?: string }): Buffer =>
  whole(
    socketHead(of, 3)
      .u64(of.peer, 0xdead) // unsi_conn_so, unsi_conn_pcb
      .chars(255, unixAddress(of.path))
      .chars(255, unixAddress(of.peerPath))
      .struct(),
  );

export interface Tcp {
  state: number;
  /** Of one version: 4 bytes, or 16. */
  local: number[];
  localPort: number;
  remote: number[];
  remotePort: number;
}

const swapped = (port: number) => ((port & 0xff) << 8) | (port >> 8);
const addressBytes = (address: number[]) =>
  Buffer.from(address.length === 4 ? [...Array.from({ length: 12 }, () => 0), ...address] : address);

export const tcpSocketInfo = (of: SocketCommon & Tcp): Buffer =>
  whole(
    socketHead(of, 2)
      .u32(swapped(of.remotePort), swapped(of.localPort))
      .u64(0xdead) // insi_gencnt
      .u32(0xdead, 0xdead) // insi_flags, insi_flow
      .u8(of.local.length === 4 ? 1 : 2, 64) // insi_vflag, insi_ip_ttl
      .u32(0xdead) // rfu_1
      .chars(16, addressBytes(of.remote))
      .chars(16, addressBytes(of.local))
      .u8(0) // insi_v4
      .u32(0) // insi_v6, at its own alignment
      .u32(0)
      .u16(0, 0)
      .u32(of.state)
      .u32(1, 2, 3, 4) // tcpsi_timer
      .u32(1460, 0, 0)
      .u64(0xdead)
      .struct(),
  );

/** struct proc_fdinfo[]. */
export const descriptorList = (...entries: [number: number, type: number][]): Buffer =>
  new Fields().u32(...entries.flat()).struct();

/** KERN_PROCARGS2, as exec_copyout_strings leaves it. `withheld`: of a restricted program. */
export function procArguments(
  path: string,
  argv: readonly string[],
  environment: readonly string[] | "withheld",
  argc = argv.length,
): Buffer {
  const padded = Buffer.alloc(Math.ceil((Buffer.byteLength(path) + 1) / 8) * 8);
  padded.write(path);
  const strings = (list: readonly string[]) => Buffer.from(list.map((each) => `${each}\0`).join(""));
  const count = new Fields().u32(argc);
  const head = [count.struct().subarray(0, 4), padded, strings(argv)];
  if (environment === "withheld") return Buffer.concat(head);
  const body = Buffer.concat([padded, strings(argv), strings(environment)]);
  const tail = Buffer.alloc((8 - (body.length % 8)) % 8);
  const kernel = [
    "pfz=0x7",
    "MallocNanoZone=1",
    "stack_guard=0x1",
    "malloc_entropy=0x2,0x3",
    "ptr_munge=0x4",
    "main_stack=0x5",
    "th_port=0x103",
  ];
  return Buffer.concat([count.struct().subarray(0, 4), body, tail, strings(kernel), Buffer.alloc(5)]);
}
