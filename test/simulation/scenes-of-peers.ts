/** Named scenes of the WebSocket: sessions that it holds, events, and runs of a waiting caller. */
import { ask, begin, killFront, livesOf, must, open, recordOf, refusalOf, restart } from "./acts.ts";
import { Line, type Message } from "./event-stream.ts";
import type { PromiseScene } from "./promises.ts";
import { scriptOf } from "./scripted.ts";
import type { World } from "./world.ts";

interface SessionView {
  id: string;
  kind: string;
  parentId: string | null;
  present: boolean;
  leaseMs: number;
  runs: string[];
  client: { name: string };
}

async function dial(world: World): Promise<Line> {
  const line = new Line(world);
  await world.until("a connection is open", () => line.isOpen, 5000);
  return line;
}

async function said<T>(answer: Promise<Message>): Promise<T> {
  const { result, error } = await answer;
  must(error === undefined, JSON.stringify(error));
  return result as T;
}

const codeOf = async (answer: Promise<Message>) => (await answer).error?.data?.code;
const sessionsOf = (world: World) => ask<SessionView[]>(world, "session.list");
const stay = (mark: string) => scriptOf(mark, { stay: true });
const deaf = (mark: string) => `deaf ${mark}`;

export const peerScenes: Record<string, PromiseScene> = {
  "a session of a connection is held by it, and resumed within its lease": {
    play: async (world) => {
      const line = await dial(world);
      const client = { name: "peer", version: "1" };
      const opened = await said<SessionView>(line.send("session.open", { client, leaseMs: 5000 }));
      must(
        opened.kind === "ws" && opened.present && opened.leaseMs === 5000 && opened.client.name === "peer",
        JSON.stringify(opened),
      );
      const run = await begin(world, stay("a"), { sessionId: opened.id });
      await world.clock.sleep(20_000);
      must((await sessionsOf(world))[0]?.runs.join() === run.id, "a held session does not show its run");
      line.end();
      await world.clock.sleep(4000);
      const [left] = await sessionsOf(world);
      must(left?.present === false && livesOf(world, run.id) > 0, "a session ends before its lease");
      const second = await dial(world);
      await said(second.send("session.resume", { id: opened.id }));
      await said(second.send("session.resume", { id: opened.id }));
      await world.clock.sleep(10_000);
      must((await sessionsOf(world))[0]?.present === true, "a resumed session is not held");
      must(
        (await codeOf(second.send("session.resume", { id: "none" }))) === "session_unknown",
        "no session is resumed",
      );
      second.end();
      await world.clock.sleep(4900);
      must((await sessionsOf(world)).length === 1, "a session that was held twice ends early");
      await world.clock.sleep(4000);
      must((await sessionsOf(world)).length === 0 && livesOf(world, run.id) === 0, "a session outlives its lease");
      const { endReason } = await recordOf(world, run.id);
      must(endReason === "lease-expired" || endReason === "session-ended", String(endReason));
      const mcp = await open(world, "/mcp/echo");
      const third = await dial(world);
      must(
        (await codeOf(third.send("session.resume", { id: mcp }))) === "session_unknown",
        "an MCP session is resumed",
      );
    },
  },
  "a session ends with its parent, and not the other way": {
    play: async (world) => {
      const line = await dial(world);
      const openOne = (parentId: string | null) => said<SessionView>(line.send("session.open", { parentId }));
      const parent = await openOne(null);
      const [child, other] = [await openOne(parent.id), await openOne(parent.id)];
      const grandchild = await openOne(child.id);
      must(child.parentId === parent.id && grandchild.parentId === child.id, JSON.stringify(grandchild));
      const runs = [];
      for (const [index, { id }] of [parent, child, other, grandchild].entries())
        runs.push(await begin(world, deaf(`r${index}`), { sessionId: id }));
      await ask(world, "session.end", { id: child.id });
      const ids = (await sessionsOf(world)).map(({ id }) => id);
      must(ids.toSorted().join() === [parent.id, other.id].toSorted().join(), `left: ${ids.join()}`);
      must(
        runs.map(({ id }) => livesOf(world, id)).join() === "1,0,1,0",
        runs.map(({ id }) => livesOf(world, id)).join(),
      );
      await killFront(world);
      await world.clock.sleep(1000);
      must((await sessionsOf(world)).length === 2, "the next front does not know them");
      await ask(world, "session.end", { id: parent.id });
      must((await sessionsOf(world)).length === 0, "a child outlives its parent");
      must(
        runs.every(({ id }) => livesOf(world, id) === 0),
        "a run outlives its session",
      );
      for (const { id } of runs) must((await recordOf(world, id)).endReason === "session-ended", "another reason");
      const again = await dial(world);
      must(
        (await codeOf(again.send("session.open", { parentId: parent.id }))) === "session_unknown",
        "a child of an ended session",
      );
    },
  },
  "sessions of connections survive a front within their lease": {
    play: async (world) => {
      const line = await dial(world);
      const { id } = await said<SessionView>(line.send("session.open", { leaseMs: 8000 }));
      const run = await begin(world, stay("a"), { sessionId: id });
      await killFront(world);
      await world.until("the connection is gone", () => line.closed !== undefined, 20_000);
      const next = await dial(world);
      await said(next.send("session.resume", { id }));
      await world.clock.sleep(15_000);
      must(livesOf(world, run.id) > 0, "a resumed session has ended");
      await killFront(world);
      await world.clock.sleep(6000);
      must(livesOf(world, run.id) > 0, "a session ends before its lease, with a new front");
      await world.clock.sleep(5000);
      must(livesOf(world, run.id) === 0, "a session outlives its lease, with a new front");
    },
  },
  "events are told in order, once, and those that were missed": {
    play: async (world) => {
      const line = await dial(world);
      interface Position {
        stream: string;
        last: number;
      }
      const { stream, last } = await said<Position>(line.send("events.subscribe"));
      const session = await open(world, "/mcp/echo");
      await ask(world, "session.end", { id: session });
      await world.clock.sleep(200);
      const seen = () =>
        line.notices
          .filter(({ method }) => method === "event")
          .map(({ params }) => params as { seq: number; name: string; at: number });
      const numbers = seen().map(({ seq }) => seq);
      must(
        numbers.length > 1 && numbers.every((seq, index) => seq === last + 1 + index),
        `events ${numbers.join()} after ${last}`,
      );
      const names = seen().map(({ name }) => name);
      must(
        names.includes("session.opened") && names.indexOf("session.opened") < names.indexOf("session.ended"),
        names.join(),
      );
      const second = await dial(world);
      await said(second.send("events.subscribe", { after: last, stream, names: ["session.ended"] }));
      await world.clock.sleep(200);
      const missed = second.notices.map(({ params }) => params?.["name"]);
      must(missed.join() === "session.ended", missed.join());
      must(
        (await codeOf(second.send("events.subscribe", { after: last, stream: "other" }))) === "gap",
        "another stream goes on",
      );
      await said(second.send("events.unsubscribe"));
      const before = second.notices.length;
      await open(world, "/mcp/echo");
      await world.clock.sleep(200);
      must(second.notices.length === before, "an event after the end of a subscription");
      await killFront(world);
      const third = await dial(world);
      must(
        (await codeOf(third.send("events.subscribe", { after: last, stream }))) === "gap",
        "a stream of an earlier front goes on",
      );
    },
  },
  "a run of a waiting caller ends when its connection is gone": {
    play: async (world) => {
      const start = async (what: string) => {
        const line = await dial(world);
        const { id: caller } = await said<SessionView>(line.send("session.open", { leaseMs: 60_000 }));
        const { id } = await begin(world, what, { caller });
        return { line, caller, id };
      };
      const polite = await start(scriptOf("a", { trap: "SIGINT" }, { stay: true }));
      polite.line.end();
      await world.clock.sleep(800);
      must(livesOf(world, polite.id) === 0, "a run outlives its caller");
      must((await recordOf(world, polite.id)).endReason === "session-ended", "another reason");
      const stubborn = await start(deaf("b"));
      stubborn.line.end();
      await world.clock.sleep(900);
      must(livesOf(world, stubborn.id) === 1, "a run whose caller is gone has no grace at all");
      await world.clock.sleep(1100);
      must(livesOf(world, stubborn.id) === 0, "a run outlives its caller by 2 s");
      const returning = await start(stay("c"));
      returning.line.end();
      const back = await dial(world);
      await said(back.send("session.resume", { id: returning.caller }));
      await world.clock.sleep(2000);
      must(livesOf(world, returning.id) === 1, "a run ends although its caller has returned");
      const detached = await start(stay("d"));
      await ask(world, "session.end", { id: detached.caller });
      await world.clock.sleep(3000);
      must(livesOf(world, detached.id) === 1, "an orderly end of a caller's session ends the run");
      const read = await start(stay("e"));
      await said(read.line.send("run.log", { id: read.id, caller: read.caller }));
      await killFront(world);
      await world.clock.sleep(4000);
      must(livesOf(world, read.id) === 1, "a restart of the front counts as the end of a caller");
      const kept = await start(stay("f"));
      const { front } = world.site;
      await restart(world);
      await world.until("the front is replaced", () => front?.own.isAlive === false && world.isServing, 60_000);
      await world.clock.sleep(4000);
      must(livesOf(world, kept.id) === 1, "an orderly restart of the front counts as the end of a caller");
      const next = await dial(world);
      await said(next.send("session.resume", { id: read.caller }));
      await said(next.send("run.log", { id: read.id, caller: read.caller }));
      next.end();
      await world.clock.sleep(2500);
      must(livesOf(world, read.id) === 0, "a run outlives the caller that reads it");
      must((await refusalOf(world, "run.wait", { id: read.id })) === undefined, "its record is lost");
    },
  },
};
