/** libproc is asked as its headers say, over a kernel of bytes; what it does not answer is missing, never wrong. */
import assert from "node:assert/strict";
import { constants } from "node:os";
import { describe, it } from "node:test";
import { libprocOver, openLibproc } from "../../../src/platform/darwin/libproc.ts";
import { ByteKernel } from "./byte-kernel.ts";
import { pathInfo, pipeInfo, unixSocketInfo } from "./header-bytes.ts";

const { SIGKILL } = constants.signals;
const target = { pid: 40, uniqueId: 400n, pidVersion: 4 };

function kernel(options: { isOld?: boolean } = {}) {
  const bytes = new ByteKernel(options);
  bytes.known.set(40, { uniqueId: 400n, version: 4 });
  bytes.known.set(50, { uniqueId: 500n, version: 5, isForeign: true });
  return { bytes, xnu: libprocOver(bytes) };
}

describe("libproc", () => {
  it("says in one sentence that it is not on this system", { skip: process.platform === "darwin" }, () => {
    assert.throws(openLibproc, (thrown: Error & { code?: string }) => {
      assert.equal(thrown.code, "unsupported_platform");
      assert.match(thrown.message, /^[^\n]*libSystem[^\n]*$/);
      return true;
    });
  });

  it("describes an own process, with times in the machine's own ticks and sleep by its threads", () => {
    assert.deepEqual(kernel().xnu.process(40), {
      pid: 40,
      ppid: 1,
      uniqueId: 400n,
      parentUniqueId: 77n,
      pidVersion: 4,
      group: 40,
      uid: 501,
      state: "sleeping",
      startedAtUs: 1_000_000_005n,
      rssBytes: 4096,
      cpuMs: 11_000,
    });
  });

  it("describes another user's process by what every user may see", () => {
    const found = kernel().xnu.process(50);
    assert.deepEqual([found?.uid, found?.uniqueId, found?.startedAtUs], [0, 500n, 1_000_000_005n]);
    assert.deepEqual([found?.state, found?.rssBytes, found?.cpuMs], ["running", 0, 0]);
  });

  it("mixes no two processes that had one number", () => {
    const { bytes, xnu } = kernel();
    bytes.meanwhile = (call) => {
      if (call === "kinfo") bytes.known.set(50, { uniqueId: 501n, version: 6, isForeign: true });
    };
    assert.equal(xnu.process(50), undefined);
  });

  it("shows a zombie and a stopped process as such", () => {
    const { bytes, xnu } = kernel();
    bytes.known.set(60, { uniqueId: 600n, version: 1, status: 5 });
    assert.equal(xnu.process(60)?.state, "zombie");
    bytes.known.set(61, { uniqueId: 610n, version: 1, status: 4 });
    assert.equal(xnu.process(61)?.state, "stopped", "none of its threads runs");
  });

  it("answers nothing for unused numbers and to short answers", () => {
    const { bytes, xnu } = kernel();
    for (const isShort of [false, true]) {
      bytes.missing = isShort ? 1 : 0;
      const pid = isShort ? 40 : 41;
      assert.equal(xnu.process(pid), undefined);
      assert.equal(xnu.coalition(pid), undefined);
      assert.equal(xnu.bearing(pid), undefined);
    }
    bytes.missing = 0;
    assert.equal(xnu.session(41), 0);
    assert.equal(xnu.arguments(41), undefined);
    assert.equal(xnu.arguments(50), undefined);
    assert.equal(xnu.coalitionTasks(30n), undefined);
    assert.equal(xnu.descriptors(41), "gone");
  });

  it("answers sessions, arguments, coalitions, bearing and the boot", () => {
    const { xnu } = kernel();
    assert.equal(xnu.session(40), 40);
    assert.deepEqual(xnu.arguments(40), { argv: ["a", ""], environment: ["B=1"] });
    assert.equal(xnu.coalition(50), 31n);
    assert.deepEqual(xnu.coalitionTasks(31n), { started: 8n, exited: 6n });
    assert.equal(xnu.bearing(50)?.ignoredSignals, 1);
    assert.equal(xnu.bootSession(), "0B5E55ED-0000-4000-8000-00000000B007");
  });

  it("lists every process, and again when the list may have been cut", () => {
    const { bytes, xnu } = kernel();
    assert.deepEqual(xnu.pids(), [40, 50]);
    let births = 0;
    bytes.meanwhile = (call) => {
      births += 1;
      // Between the count and the list more are born than the kernel leaves room for.
      if (call === "list" && births === 2)
        for (let pid = 60; pid < 64; pid += 1) bytes.known.set(pid, { uniqueId: 1n, version: 1 });
    };
    assert.deepEqual(xnu.pids(), [40, 50, 60, 61, 62, 63]);
    assert.ok(births >= 4, "it looked again");
  });
});

describe("a signal", () => {
  it("names the pid and its version where the system takes both", () => {
    const { bytes, xnu } = kernel();
    assert.equal(xnu.signalsExactly, true);
    assert.equal(xnu.signal(target, "SIGKILL"), true);
    assert.deepEqual(bytes.signals, [[40, 4, SIGKILL]]);
  });

  it("reaches a process that has run another program since", () => {
    const { bytes, xnu } = kernel();
    bytes.known.set(40, { uniqueId: 400n, version: 9 });
    assert.equal(xnu.signal(target, "SIGKILL"), true);
    let execs = 0;
    bytes.meanwhile = (call) => {
      if (call === "signal" && execs < 3) bytes.known.set(40, { uniqueId: 400n, version: 10 + (execs += 1) });
    };
    assert.equal(xnu.signal(target, "SIGKILL"), true);
    assert.deepEqual(bytes.signals, [
      [40, 9, SIGKILL],
      [40, 13, SIGKILL],
    ]);
  });

  it("reaches no successor with the number, even one born between look and signal", () => {
    const { bytes, xnu } = kernel();
    bytes.meanwhile = (call) => {
      if (call === "signal") bytes.known.set(40, { uniqueId: 401n, version: 11 });
    };
    assert.equal(xnu.signal(target, "SIGKILL"), false);
    assert.equal(xnu.signal(target, "SIGKILL"), false);
    assert.deepEqual(bytes.signals, []);
  });

  it("tries a process that execs without end a bounded number of times", () => {
    const { bytes, xnu } = kernel();
    let version = 4;
    bytes.meanwhile = (call) => {
      if (call === "signal") bytes.known.set(40, { uniqueId: 400n, version: (version += 1) });
    };
    assert.equal(xnu.signal(target, "SIGKILL"), false);
  });

  it("is refused for another user's process, for unused numbers and for groups", () => {
    const { bytes, xnu } = kernel();
    assert.equal(xnu.signal({ pid: 50, uniqueId: 500n, pidVersion: 5 }, "SIGKILL"), false);
    assert.equal(xnu.signal({ pid: 41, uniqueId: 1n, pidVersion: 1 }, "SIGKILL"), false);
    bytes.known.set(-40, { uniqueId: 400n, version: 4 });
    assert.equal(xnu.signal({ ...target, pid: -40 }, "SIGKILL"), false);
    assert.deepEqual(bytes.signals, []);
  });

  it("goes by kill, right after a look at the unique id, on macOS 12 and 13", () => {
    const { bytes, xnu } = kernel({ isOld: true });
    assert.equal(xnu.signalsExactly, false);
    assert.equal(xnu.signal(target, "SIGKILL"), true);
    assert.equal(xnu.signal({ ...target, uniqueId: 399n }, "SIGKILL"), false);
    assert.equal(xnu.signal({ pid: 41, uniqueId: 1n, pidVersion: 1 }, "SIGKILL"), false);
    assert.deepEqual(bytes.signals, [[40, "unversioned", SIGKILL]]);
  });
});

describe("descriptors of a process", () => {
  it("are described by their kind, without those closed since they were listed", () => {
    const { bytes, xnu } = kernel();
    const socket = unixSocketInfo({ handle: 3n, type: 1, options: 0, state: 2, peer: 4n });
    bytes.known.set(40, {
      uniqueId: 400n,
      version: 4,
      descriptors: [[0, 6], [1, 2], [2, 1], [3, 5], [4, 6], [5, 1]], // prettier-ignore
      about: { "0 6": pipeInfo(1, 1n, 2n, 0), "1 3": socket, "2 2": pathInfo("/dev/null") },
    });
    const found = xnu.descriptors(40);
    assert.ok(typeof found !== "string");
    assert.deepEqual(
      found.map(({ number, kind }) => [number, kind]),
      [
        [0, "pipe"],
        [1, "socket"],
        [2, "file"],
        [3, "other"],
        [5, "file"],
      ],
    );
    assert.deepEqual(found[0], {
      number: 0,
      kind: "pipe",
      reads: true,
      writes: false,
      handle: 1n,
      peer: 2n,
      isAtEnd: false,
    });
  });

  it("are listed whole when the table has grown since it was measured", () => {
    const { bytes, xnu } = kernel();
    const many = (count: number) => Array.from({ length: count }, (_, number): [number, number] => [number, 5]);
    bytes.known.set(40, { uniqueId: 400n, version: 4, descriptors: many(3) });
    let asked = 0;
    bytes.meanwhile = (call) => {
      asked += call === "info 1" ? 1 : 0;
      if (asked === 2) bytes.known.set(40, { uniqueId: 400n, version: 4, descriptors: many(100) });
    };
    assert.equal(xnu.descriptors(40).length, 100);
  });

  it("are denied for another user's process, and none for a process without any", () => {
    const { bytes, xnu } = kernel();
    assert.equal(xnu.descriptors(50), "denied");
    assert.deepEqual(xnu.descriptors(40), []);
    bytes.known.delete(40);
    assert.equal(xnu.descriptors(40), "gone");
  });
});
