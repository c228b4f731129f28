/** The structures of macOS's kernel are read where its headers put them, and nothing beyond what was written is read. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
  decodeDescriptorList,
  decodePath,
  decodePipe,
  decodeSocket,
  descriptorBytes,
} from "../../../src/platform/darwin/descriptor-structs.ts";
import {
  decodeArguments,
  decodeBsdInfo,
  decodeCoalition,
  decodeCoalitionUsage,
  decodeKinfoProc,
  decodeTaskInfo,
  decodeTimebase,
  decodeUniqueIdentifierInfo,
  structBytes,
} from "../../../src/platform/darwin/structs.ts";
import {
  bsdInfo,
  descriptorList,
  Fields,
  kinfoProc,
  pathInfo,
  pipeInfo,
  procArguments,
  taskInfo,
  tcpSocketInfo,
  uniqueInfo,
  unixSocketInfo,
} from "./header-bytes.ts";

const shell = {
  flags: 0x10,
  status: 3,
  pid: 99_998,
  ppid: 4321,
  uid: 501,
  name: "zsh",
  group: 99_998,
  device: 0x1000_0003,
  foreground: 99_998,
  startS: 1_796_000_000n,
  startUs: 123_456n,
};
const kinfo = { ...shell, flags: 0x4006, ignored: 0x1 };
const socket = { handle: 0xffff_ffff_ffff_fffen, type: 1, options: 0, state: 0x2 };
const shut = 0x10 | 0x20 | 0x2000;

const samples: [name: string, bytes: Buffer, size: number, decode: (bytes: Buffer) => unknown][] = [
  ["proc_bsdinfo", bsdInfo(shell), structBytes.bsdInfo, decodeBsdInfo],
  ["proc_taskinfo", taskInfo(1n, 2n, 3n, 4), structBytes.taskInfo, decodeTaskInfo],
  ["proc_uniqidentifierinfo", uniqueInfo(1n, 2n, 3), structBytes.uniqueIdentifierInfo, decodeUniqueIdentifierInfo],
  ["proc_pidcoalitioninfo", new Fields().u64(9, 8, 7, 6, 5).struct(), structBytes.coalitionInfo, decodeCoalition],
  ["coalition_resource_usage", new Fields().u64(9, 8).struct(), structBytes.coalitionUsage, decodeCoalitionUsage],
  ["kinfo_proc", kinfoProc(kinfo), structBytes.kinfoProc, decodeKinfoProc],
  ["mach_timebase_info", new Fields().u32(125, 3).struct(), structBytes.timebase, decodeTimebase],
  ["pipe_fdinfo", pipeInfo(1, 2n, 3n, 0), descriptorBytes.pipe, decodePipe],
  ["socket_fdinfo", unixSocketInfo({ ...socket, peer: 5n }), descriptorBytes.socket, decodeSocket],
  ["vnode_fdinfowithpath", pathInfo("/tmp/a"), descriptorBytes.vnodeWithPath, decodePath],
];

describe("the kernel's structures", () => {
  for (const [name, bytes, size, decode] of samples)
    it(`has struct ${name} at the header's size, and takes no shorter answer`, () => {
      assert.equal(bytes.length, size);
      assert.notEqual(decode(bytes), undefined);
      for (const length of [0, 1, size - 1]) assert.equal(decode(bytes.subarray(0, length)), undefined, `${length}`);
    });

  it("reads a process at its terminal", () => {
    assert.deepEqual(decodeBsdInfo(bsdInfo(shell)), {
      pid: 99_998,
      ppid: 4321,
      uid: 501,
      group: 99_998,
      state: "sleeping",
      isTraced: false,
      isInForeground: true,
      startedAtUs: 1_796_000_000_123_456n,
      name: "zsh",
    });
  });

  it("reads the same process of another user from kinfo_proc, with the signals it ignores", () => {
    const { ignoredSignals, ...fields } = decodeKinfoProc(kinfoProc(kinfo)) ?? assert.fail("it is whole");
    assert.deepEqual(fields, decodeBsdInfo(bsdInfo(shell)));
    assert.equal(ignoredSignals, 1);
    const every = decodeKinfoProc(kinfoProc({ ...kinfo, ignored: 0xffff_ffff }));
    assert.equal(every?.ignoredSignals, 0xffff_ffff);
  });

  it("tells states apart, and a stop by a debugger from one by a signal", () => {
    const stateOf = (status: number, flags = 0) => decodeBsdInfo(bsdInfo({ ...shell, status, flags }))?.state;
    assert.deepEqual(
      [1, 2, 3, 4, 5].map((status) => stateOf(status)),
      ["running", "running", "sleeping", "stopped", "zombie"],
    );
    assert.equal(stateOf(4, 0x2), "traced");
    assert.equal(decodeKinfoProc(kinfoProc({ ...kinfo, status: 4, flags: 0x800 }))?.state, "traced");
    assert.equal(stateOf(4, 0x1), "stopped");
    for (const odd of [0, 6, 0xffff_ffff]) assert.equal(stateOf(odd), "unknown");
  });

  it("sees no foreground without a terminal, nor for a process group that has left it", () => {
    const foreground = (changed: Partial<typeof shell>) =>
      decodeBsdInfo(bsdInfo({ ...shell, ...changed }))?.isInForeground;
    assert.equal(foreground({ device: -1 }), false);
    assert.equal(foreground({ foreground: 7 }), false);
    assert.equal(foreground({ group: 0, foreground: 0 }), false);
    assert.equal(decodeKinfoProc(kinfoProc({ ...kinfo, flags: 0x4001 }))?.isInForeground, false);
  });

  it("keeps numbers beyond 2^53, the highest user id and a negative pid version", () => {
    const all = 0xffff_ffff_ffff_ffffn;
    assert.deepEqual(decodeUniqueIdentifierInfo(uniqueInfo(all, all - 1n, -2)), {
      uniqueId: all,
      parentUniqueId: all - 1n,
      pidVersion: -2,
    });
    assert.equal(decodeBsdInfo(bsdInfo({ ...shell, uid: 0xffff_fffe }))?.uid, 0xffff_fffe);
    assert.equal(
      decodeBsdInfo(bsdInfo({ ...shell, startS: 1n << 60n }))?.startedAtUs,
      (1n << 60n) * 1_000_000n + 123_456n,
    );
    assert.deepEqual(decodeTaskInfo(taskInfo(1n << 40n, all, 5n, 0)), {
      rssBytes: 2 ** 40,
      cpuTicks: all + 5n,
      runningThreads: 0,
    });
    const usage = new Fields().u64(all, all - 5n).struct();
    assert.deepEqual(decodeCoalitionUsage(usage), { started: all, exited: all - 5n });
  });

  it("takes the resource coalition, and 0 for none", () => {
    assert.equal(decodeCoalition(new Fields().u64(all64, 7, 1, 2, 3).struct()), all64);
    assert.equal(decodeCoalition(new Fields().u64(0, 7, 1, 2, 3).struct()), undefined);
  });

  it("divides by no zero in the timebase", () => {
    assert.deepEqual(decodeTimebase(new Fields().u32(125, 3).struct()), { numer: 125, denom: 3 });
    for (const odd of [new Fields().u32(0, 3), new Fields().u32(125, 0)])
      assert.equal(decodeTimebase(odd.struct()), undefined);
  });

  it("reads names that fill their field, and cuts none at a byte of garbage behind the end", () => {
    assert.equal(decodeBsdInfo(bsdInfo({ ...shell, name: "sixteen bytes..." }))?.name, "sixteen bytes...");
    assert.equal(decodeBsdInfo(bsdInfo({ ...shell, name: "node\0x" }))?.name, "node");
    assert.equal(decodeKinfoProc(kinfoProc({ ...kinfo, name: "seventeen bytes.." }))?.name, "seventeen bytes..");
  });
});

const all64 = 0xffff_ffff_ffff_ffffn;

describe("descriptors", () => {
  it("lists what the kernel wrote, without half an entry or a negative number", () => {
    const bytes = descriptorList([0, 1], [1, 6], [2, 2], [3, 5], [-1, 6]);
    assert.deepEqual(decodeDescriptorList(bytes), [
      { number: 0, kind: "file" },
      { number: 1, kind: "pipe" },
      { number: 2, kind: "socket" },
      { number: 3, kind: "other" },
    ]);
    assert.equal(decodeDescriptorList(bytes.subarray(0, 15)).length, 1);
    assert.deepEqual(decodeDescriptorList(Buffer.alloc(0)), []);
  });

  it("reads both handles of a pipe's end, its direction and whether it has reached its end", () => {
    assert.deepEqual(decodePipe(pipeInfo(0x1, all64, 2n, 0x4002)), {
      reads: true,
      writes: false,
      handle: all64,
      peer: 2n,
      isAtEnd: false,
    });
    assert.deepEqual(decodePipe(pipeInfo(0x2, 7n, 0n, 0x80)), {
      reads: false,
      writes: true,
      handle: 7n,
      peer: 0n,
      isAtEnd: true,
    });
  });

  it("reads a socketpair that is held, one that was left, and the names of a listener and its client", () => {
    const held = { handle: socket.handle, kind: "unix", isStream: true, isListening: false, isShut: false };
    assert.deepEqual(decodeSocket(unixSocketInfo({ ...socket, peer: 9n })), {
      ...held,
      peer: 9n,
      hasName: false,
      peerHasName: false,
    });
    const left = decodeSocket(unixSocketInfo({ ...socket, state: shut, peer: 0n }));
    assert.equal(left?.isShut, true);
    // A half close shuts one direction.
    for (const half of [0x10, 0x20, 0x30]) {
      const one = decodeSocket(unixSocketInfo({ ...socket, state: half, peer: 9n }));
      assert.equal(one?.isShut, false);
    }
    const listener = decodeSocket(unixSocketInfo({ ...socket, options: 0x2, peer: 0n, path: "s" }));
    assert.ok(listener?.kind === "unix" && listener.isListening && listener.hasName && !listener.peerHasName);
    const client = decodeSocket(unixSocketInfo({ ...socket, peer: 9n, peerPath: "s" }));
    assert.ok(client?.kind === "unix" && !client.hasName && client.peerHasName);
    assert.equal(decodeSocket(unixSocketInfo({ ...socket, type: 2, peer: 9n }))?.isStream, false);
  });

  it("reads addresses, ports in network order and states of TCP", () => {
    const tcp = { state: 4, local: [127, 0, 0, 1], localPort: 4653, remote: [10, 1, 2, 3], remotePort: 50_001 };
    const found = decodeSocket(tcpSocketInfo({ ...socket, ...tcp }));
    assert.ok(found?.kind === "tcp");
    assert.deepEqual(
      [found.state, found.local, found.localPort, found.remote, found.remotePort],
      ["ESTABLISHED", "127.0.0.1", 4653, "10.1.2.3", 50_001],
    );
    const loopback = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
    const mapped = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 168, 0, 1];
    const six = decodeSocket(tcpSocketInfo({ ...socket, ...tcp, state: 1, local: loopback, remote: mapped }));
    assert.ok(six?.kind === "tcp");
    assert.deepEqual([six.state, six.local, six.remote], ["LISTEN", "::1", "192.168.0.1"]);
    const names = [2, 3, 5, 6, 7, 8, 9, 10].map((each) => {
      const one = decodeSocket(tcpSocketInfo({ ...socket, ...tcp, state: each }));
      return one?.kind === "tcp" && one.state;
    });
    assert.deepEqual(names.slice(0, 4), ["SYN-SENT", "SYN-RECEIVED", "CLOSE-WAIT", "FIN-WAIT-1"]);
    assert.deepEqual(names.slice(4), ["CLOSING", "LAST-ACK", "FIN-WAIT-2", "TIME-WAIT"]);
    for (const odd of [-1, 11, 0x7fff_ffff]) {
      const one = decodeSocket(tcpSocketInfo({ ...socket, ...tcp, state: odd }));
      assert.ok(one?.kind === "tcp" && one.state === "?");
    }
  });

  it("reads paths, of full length too", () => {
    assert.equal(decodePath(pathInfo("/dev/null")), "/dev/null");
    assert.equal(decodePath(pathInfo(""))?.length, 0);
    assert.equal(decodePath(pathInfo("x".repeat(1024)))?.length, 1024);
  });
});

describe("arguments and environment", () => {
  it("reads both, without the kernel's own strings", () => {
    const environment = ["PATH=/usr/bin:/bin", "HOLDFAST_RUN=/owner/run", "EMPTY=", "UTF=ü€"];
    const bytes = procArguments("/opt/homebrew/bin/node", ["node", "server.js"], environment);
    assert.deepEqual(decodeArguments(bytes), { argv: ["node", "server.js"], environment });
  });

  it("keeps empty arguments in place, the first one included, for paths of every length", () => {
    for (let length = 1; length <= 17; length += 1) {
      const bytes = procArguments(`/${"p".repeat(length)}`, ["", "", "x", ""], ["A=1"]);
      assert.deepEqual(decodeArguments(bytes), { argv: ["", "", "x", ""], environment: ["A=1"] }, `${length}`);
    }
  });

  it("takes a variable of the kernel's name for one, where the kernel's own strings follow", () => {
    const environment = ["MallocNanoZone=0", "th_port=7"];
    assert.deepEqual(decodeArguments(procArguments("/bin/sh", ["sh"], environment))?.environment, environment);
    const bare = Buffer.concat([procArguments("/bin/sh", ["sh"], "withheld"), Buffer.from("A=1\0stack_guard=1\0")]);
    assert.deepEqual(decodeArguments(bare)?.environment, ["A=1", "stack_guard=1"]);
  });

  it("finds a marker behind empty entries and behind names of the kernel", () => {
    const environment = ["", "ptr_munge=mine", "", "HOLDFAST_RUN=/owner/run"];
    const found = decodeArguments(procArguments("/bin/sh", ["sh"], environment));
    assert.deepEqual(found?.environment, ["ptr_munge=mine", "HOLDFAST_RUN=/owner/run"]);
  });

  it("reads a withheld environment as empty", () => {
    const bytes = procArguments("/bin/sh", ["sh", "-c", "sleep 9"], "withheld");
    assert.deepEqual(decodeArguments(bytes), { argv: ["sh", "-c", "sleep 9"], environment: [] });
    assert.deepEqual(decodeArguments(procArguments("/bin/sh", [], [])), { argv: [], environment: [] });
  });

  it("believes no count of arguments that the bytes do not hold", () => {
    const bytes = (argc: number) => procArguments("/bin/sh", ["sh"], "withheld", argc);
    assert.deepEqual(decodeArguments(bytes(0x7fff_ffff)), { argv: ["sh"], environment: [] });
    assert.equal(decodeArguments(bytes(-1)), undefined);
    assert.equal(decodeArguments(bytes(-0x8000_0000)), undefined);
  });

  it("reads what is there of bytes cut anywhere, and never more", () => {
    const whole = procArguments("/usr/local/bin/node", ["node", "a", ""], ["A=1", "B=2"]);
    for (let length = 0; length <= whole.length; length += 1) {
      const found = decodeArguments(Buffer.from(whole.subarray(0, length)));
      if (length < 24) assert.equal(found, undefined, `${length}`);
      for (const [at, argument] of (found?.argv ?? []).entries())
        assert.ok(["node", "a", ""][at]?.startsWith(argument));
    }
    assert.equal(decodeArguments(Buffer.alloc(4096, 0x41)), undefined, "a path without an end");
    assert.deepEqual(decodeArguments(Buffer.alloc(4096)), { argv: [], environment: [] });
  });
});
