/** On a Mac the doctor calls an owner dead only where the kernel says so, and nothing else may be reaped. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { judgeAll, type Judgement } from "../../src/doctor/judge.ts";
import { findTrees } from "../../src/doctor/trees.ts";
import { DarwinLook } from "../../src/platform/darwin/inspection/look.ts";
import { PlantedMac, tcpSocket, unixSocket } from "./helpers/planted-mac.ts";

const server = ["node", "/opt/homebrew/lib/node_modules/@modelcontextprotocol/server-everything/dist/index.js"];
const npx = ["npm", "exec", "@modelcontextprotocol/server-everything"];
const host = ["/Applications/Claude.app/Contents/MacOS/Claude"];

function judgements(mac: PlantedMac): Map<number, Judgement> {
  const look = new DarwinLook(mac);
  return new Map([...judgeAll(look, findTrees(look))].map(([tree, judged]) => [tree.root.pid, judged]));
}

/** A server whose host has ended. */
function plantOrphan(mac: PlantedMac, by: "pipe" | "socketpair" = "socketpair"): number {
  const owner = mac.start({ words: host });
  const pid = mac.start({ words: server, parent: owner });
  mac.serve(owner, pid, by);
  mac.end(owner);
  return pid;
}

/** The verdict on an orphan that has one thing more to it. */
function verdictWith(change: (mac: PlantedMac, orphan: number) => void): [verdict: string | undefined, doubts: string] {
  const mac = new PlantedMac();
  const orphan = plantOrphan(mac);
  assert.equal(judgements(mac).get(orphan)?.verdict, "owner-dead", "it is proven without the change");
  change(mac, orphan);
  const judged = judgements(mac).get(orphan);
  return [judged?.verdict, judged?.doubts.join("; ") ?? ""];
}

describe("the doctor on a Mac proves", () => {
  for (const by of ["pipe", "socketpair"] as const)
    it(`an owner dead that held the server by a ${by}, with the whole tree`, () => {
      const mac = new PlantedMac();
      const owner = mac.start({ words: host });
      const root = mac.start({ words: npx, parent: owner });
      mac.serve(owner, root, by);
      const child = mac.start({ words: server, parent: root });
      for (const number of [0, 1]) mac.inherit(root, number, child, number);
      const living = judgements(mac).get(root);
      assert.deepEqual([living?.verdict, living?.owner?.pid], ["in-use", owner]);
      mac.end(owner);
      const look = new DarwinLook(mac);
      const [tree] = findTrees(look);
      assert.deepEqual(
        tree?.members.map(({ pid }) => pid),
        [root, child],
      );
      const dead = judgements(mac).get(root);
      assert.deepEqual([dead?.verdict, dead?.doubts], ["owner-dead", []]);
      assert.ok(dead?.evidence.includes("re-parented: handed to pid 1 (launchd)"));
    });

  it("it although the owner's number belongs to another process now", () => {
    const mac = new PlantedMac();
    const owner = mac.start({ words: host });
    const orphan = mac.start({ words: server, parent: owner });
    mac.serve(owner, orphan);
    mac.end(owner);
    mac.start({ words: host, pid: owner });
    assert.deepEqual(judgements(mac).get(orphan)?.verdict, "owner-dead");
  });

  it("it past connections to services of the system, and to servers elsewhere", () => {
    const [verdict] = verdictWith((mac, orphan) => {
      const daemon = unixSocket(70n, { peer: 71n, peerHasName: true });
      mac.open(orphan, { number: 9, kind: "socket", socket: daemon });
      mac.open(orphan, { number: 10, kind: "socket", socket: tcpSocket(72n, "ESTABLISHED", 50_000) });
      mac.open(orphan, { number: 11, kind: "other" });
    });
    assert.equal(verdict, "owner-dead");
  });

  it("exactly the proven ones of a machine full of others", () => {
    const mac = new PlantedMac();
    const idle = mac.start({ words: host });
    const used = mac.start({ words: server, parent: idle });
    mac.serve(idle, used);
    const orphans = [plantOrphan(mac), plantOrphan(mac, "pipe"), plantOrphan(mac, "pipe")];
    const job = mac.start({ words: server });
    mac.pipe([job, 0], [mac.start({ words: ["helper"] }), 3]);
    mac.serve(mac.start({ words: host, uid: 502 }), mac.start({ words: server, uid: 502 }));
    const dead = [...judgements(mac)].filter(([, { verdict }]) => verdict === "owner-dead");
    assert.deepEqual(
      dead.map(([pid]) => pid),
      orphans,
    );
    mac.end(idle);
    assert.equal(judgements(mac).get(used)?.verdict, "owner-dead");
  });
});

describe("the doctor on a Mac spares", () => {
  it("a server of a live owner, however long it is idle", () => {
    const mac = new PlantedMac();
    const owner = mac.start({ words: host });
    const pid = mac.start({ words: server, parent: owner });
    mac.serve(owner, pid);
    for (let hours = 0; hours < 48; hours += 1) mac.end(mac.start({ words: ["sleep", "3600"] }));
    const judged = judgements(mac).get(pid);
    assert.deepEqual([judged?.verdict, judged?.owner?.pid], ["in-use", owner]);
  });

  it("one whose live parent has closed its ends", () => {
    const mac = new PlantedMac();
    const owner = mac.start({ words: host });
    const pid = mac.start({ words: server, parent: owner });
    mac.serve(owner, pid);
    mac.close(owner, 10 + pid);
    mac.close(owner, 1010 + pid);
    assert.equal(judgements(mac).get(pid)?.verdict, "unknown");
  });

  for (const by of ["pipe", "socketpair"] as const)
    it(`one that a live process holds by a ${by}, though its parent is gone`, () => {
      const mac = new PlantedMac();
      const owner = mac.start({ words: host });
      const middle = mac.start({ words: ["sh", "-c", "server &"], parent: owner });
      const pid = mac.start({ words: server, parent: middle });
      mac.serve(owner, pid, by);
      mac.close(owner, 1010 + pid); // stdin alone is held
      mac.end(middle);
      const judged = judgements(mac).get(pid);
      assert.deepEqual([judged?.verdict, judged?.owner?.pid], ["in-use", owner]);
    });

  it("one whose live parent has the name of a program that adopts orphans", () => {
    const mac = new PlantedMac();
    const owner = mac.start({ words: ["dumb-init", "agent"] });
    const pid = mac.start({ words: server, parent: owner });
    mac.serve(owner, pid);
    mac.close(owner, 10 + pid);
    mac.close(owner, 1010 + pid);
    assert.equal(judgements(mac).get(pid)?.verdict, "unknown");
  });

  it("a daemon that launchd started, whose streams nobody holds", () => {
    const mac = new PlantedMac();
    const job = mac.start({ words: server });
    const helper = mac.start({ words: ["helper"] });
    mac.serve(helper, job);
    mac.end(helper);
    const judged = judgements(mac).get(job);
    assert.equal(judged?.verdict, "unknown");
    assert.deepEqual(judged?.doubts, ["pid 1 (launchd) may have started it"]);
  });

  it("an orphan that became another program: launchd could have started that", () => {
    const [verdict, doubts] = verdictWith((mac, orphan) => mac.exec(orphan));
    assert.deepEqual([verdict, doubts], ["unknown", "pid 1 (launchd) may have started it"]);
  });

  it("a process of another user", () => {
    const mac = new PlantedMac();
    const owner = mac.start({ words: host, uid: 502 });
    const pid = mac.start({ words: server, parent: owner, uid: 502 });
    mac.serve(owner, pid);
    mac.end(owner);
    assert.ok([...judgements(mac).values()].every(({ verdict }) => verdict !== "owner-dead"));
    mac.isRoot = true;
    assert.equal(judgements(mac).get(pid)?.verdict, "owner-dead");
  });

  it("one whose other end is held by a process that may not be read", () => {
    for (const by of ["pipe", "socketpair"] as const) {
      const mac = new PlantedMac();
      const owner = mac.start({ words: host });
      const pid = mac.start({ words: server, parent: owner });
      mac.serve(owner, pid, by);
      const daemon = mac.start({ words: ["daemon"], uid: 0 });
      mac.inherit(owner, 10 + pid, daemon, 3);
      mac.end(owner);
      assert.equal(judgements(mac).get(pid)?.verdict, "unknown", by);
      mac.end(daemon);
      assert.equal(judgements(mac).get(pid)?.verdict, "owner-dead", by);
    }
  });

  it("orphans that hold each other's ends, unless every process can be seen", () => {
    const mac = new PlantedMac();
    const owner = mac.start({ words: host });
    const first = mac.start({ words: server, parent: owner });
    mac.serve(owner, first);
    const second = mac.start({ words: server, parent: owner });
    mac.serve(owner, second);
    mac.inherit(owner, 10 + first, second, 7);
    mac.end(owner);
    const guessed = judgements(mac);
    for (const pid of [first, second]) assert.notEqual(guessed.get(pid)?.verdict, "owner-dead");
    mac.isRoot = true;
    const judged = judgements(mac).get(first);
    assert.deepEqual([judged?.verdict, judged?.heldBy], ["owner-dead", [second]]);
    mac.hidden.add(mac.start({ words: ["unknown"] }));
    assert.notEqual(judgements(mac).get(first)?.verdict, "owner-dead", "one process is not described");
  });

  it("one with a stream that has no peer, without the kernel's word that it was left", () => {
    const [socket] = verdictWith((mac, orphan) => {
      mac.close(orphan, 0);
      mac.open(orphan, { number: 0, kind: "socket", socket: unixSocket(80n) });
    });
    assert.equal(socket, "unknown");
    const [pipe] = verdictWith((mac, orphan) => {
      mac.close(orphan, 0);
      const ends = { reads: true, writes: false };
      mac.open(orphan, { number: 0, kind: "pipe", handle: 81n, peer: 0n, isAtEnd: false, ...ends });
    });
    assert.equal(pipe, "unknown");
    const [marked] = verdictWith((mac, orphan) => {
      mac.close(orphan, 0);
      const ends = { reads: true, writes: false };
      mac.open(orphan, { number: 0, kind: "pipe", handle: 81n, peer: 82n, isAtEnd: true, ...ends });
    });
    assert.equal(marked, "unknown");
    const [file, why] = verdictWith((mac, orphan) => {
      mac.close(orphan, 0);
      mac.open(orphan, { number: 0, kind: "file", path: "/dev/null" });
    });
    assert.equal(file, "unknown");
    assert.match(why, /stdin is \/dev\/null/);
  });

  it("one that others can reach, or that is in somebody's hands", () => {
    const listens = verdictWith((mac, orphan) =>
      mac.open(orphan, { number: 9, kind: "socket", socket: tcpSocket(90n, "LISTEN", 3000) }),
    );
    assert.deepEqual(listens, ["unknown", `pid 103 listens on 127.0.0.1 port 3000`]);
    const offers = unixSocket(91n, { isListening: true, hasName: true });
    assert.equal(
      verdictWith((mac, orphan) => mac.open(orphan, { number: 9, kind: "socket", socket: offers }))[0],
      "unknown",
    );
    const client = unixSocket(92n, { peer: 93n, hasName: true });
    assert.equal(
      verdictWith((mac, orphan) => mac.open(orphan, { number: 9, kind: "socket", socket: client }))[0],
      "unknown",
    );
    const [held] = verdictWith((mac, orphan) => mac.socketpair([orphan, 9], [mac.start({ words: ["other"] }), 9]));
    assert.equal(held, "unknown");
    const [hidden] = verdictWith((mac, orphan) =>
      mac.socketpair([orphan, 9], [mac.start({ words: ["daemon"], uid: 0 }), 9]),
    );
    assert.equal(hidden, "unknown");
    const [typed] = verdictWith((mac, orphan) => {
      const child = mac.start({ words: ["sh"], parent: orphan });
      mac.open(child, { number: 0, kind: "file", path: "/dev/ttys003" });
    });
    assert.equal(typed, "unknown");
  });

  for (const [what, bearing] of [
    ["is debugged", { isTraced: true }],
    ["is at a terminal", { isInForeground: true }],
    ["ignores SIGHUP", { ignoredSignals: 0x1 }],
  ] as const)
    it(`one that ${what}`, () => {
      const mac = new PlantedMac();
      const owner = mac.start({ words: host });
      const pid = mac.start({ words: server, parent: owner, bearing });
      mac.serve(owner, pid);
      mac.end(owner);
      assert.equal(judgements(mac).get(pid)?.verdict, "unknown");
    });

  it("one about which the kernel does not say whether it is debugged or meant to stay", () => {
    const [verdict, doubts] = verdictWith((mac, orphan) => mac.unbearable.add(orphan));
    assert.equal(verdict, "unknown");
    assert.match(doubts, /ignores SIGHUP.*being debugged/);
  });

  it("the child of a debugger, which did not fork it", () => {
    const mac = new PlantedMac();
    const owner = mac.start({ words: host });
    const debug = mac.start({ words: ["lldb"] });
    const pid = mac.start({ words: server, parent: owner });
    mac.serve(owner, pid);
    mac.end(owner);
    const look = new DarwinLook(Object.assign(mac, { process: tracedBy(mac, pid, debug) }));
    assert.equal(look.originOf(pid), "either");
  });
});

function tracedBy(mac: PlantedMac, pid: number, debug: number): PlantedMac["process"] {
  const original = mac.process.bind(mac);
  return (asked) => {
    const found = original(asked);
    return asked === pid && found !== undefined ? { ...found, ppid: debug } : found;
  };
}
