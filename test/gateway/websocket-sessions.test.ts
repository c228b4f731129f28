/** A client that loses its WebSocket comes back to its session and misses no event; or is told plainly that it did. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { exchange } from "../helpers/http.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently, until } from "../helpers/until.ts";
import { FakeKeeper, token } from "./helpers/fake-keeper.ts";
import { Socket } from "./helpers/socket.ts";

leavesNothing();

interface Position {
  stream: string;
  last: number;
}
interface SessionView {
  id: string;
  kind: string;
  present: boolean;
  client: { name: string };
}

const bound = { boundMs: 10_000 };

describe("a session over a WebSocket", { timeout: patiently(60_000) }, () => {
  let keeper: FakeKeeper;
  before(async () => {
    keeper = await FakeKeeper.start();
  });
  after(() => keeper[Symbol.asyncDispose]());
  const connect = () => Socket.open(keeper.url, { token });
  const open = async (socket: Socket, params: object = {}) => {
    const { result, error } = await socket.call("session.open", params);
    assert.equal(error?.message, undefined);
    return result as SessionView;
  };
  const list = async (socket: Socket) => (await socket.call("session.list")).result as SessionView[];
  const events = (socket: Socket) =>
    socket.heard
      .filter(({ method }) => method === "event")
      .map(({ params }) => params as { seq: number; name: string; data: { session: string } });

  it("lives as long as its connection, and its lease longer", async () => {
    await using watcher = await connect();
    const gone = await connect();
    const { id, kind, present, client } = await open(gone, { client: { name: "t", version: "1" }, leaseMs: 300 });
    assert.deepEqual([kind, present, client.name], ["ws", true, "t"]);
    gone.ws.terminate();
    await until(
      "it is not present",
      async () => (await list(watcher)).find((one) => one.id === id)?.present === false,
      bound,
    );
    await until("its lease is over", async () => (await list(watcher)).every((one) => one.id !== id), bound);
    assert.equal((await watcher.call("session.resume", { id })).error?.data.code, "session_unknown");
  });

  it("is resumed within its lease by another connection", async () => {
    const first = await connect();
    const { id } = await open(first);
    first.ws.terminate();
    await first.closed;
    await using second = await connect();
    const { result } = await second.call("session.resume", { id });
    assert.equal((result as SessionView).present, true);
    assert.equal((await second.call("session.end", { id })).result, null);
    assert.equal((await second.call("session.resume", { id })).error?.data.code, "session_unknown");
  });

  it("ends with its parent", async () => {
    await using socket = await connect();
    const { id: parentId } = await open(socket);
    const { id } = await open(socket, { parentId });
    assert.equal((await socket.call("session.end", { id: parentId })).result, null);
    assert.deepEqual(
      (await list(socket)).filter((one) => one.id === id || one.id === parentId),
      [],
    );
  });

  it("misses no event over a lost connection", async () => {
    await using other = await connect();
    const first = await connect();
    const { stream } = (await first.call("events.subscribe", { names: ["session.opened"] })).result as Position;
    const one = await open(other);
    await first.find(({ method }) => method === "event");
    const [seen] = events(first);
    assert.equal(seen?.data.session, one.id);
    first.ws.terminate();
    await first.closed;
    const missed = [await open(other), await open(other), await open(other)];
    await using second = await connect();
    const again = await second.call("events.subscribe", { names: ["session.opened"], after: seen?.seq, stream });
    assert.equal(again.error, undefined);
    const now = await open(other);
    await until("four events", () => events(second).length >= 4, bound);
    assert.deepEqual(
      events(second).map(({ data }) => data.session),
      [...missed, now].map(({ id }) => id),
    );
    const numbers = events(second).map(({ seq }) => seq);
    assert.deepEqual(
      numbers,
      numbers.toSorted((a, b) => a - b),
    );
    assert.equal((await second.call("events.unsubscribe")).result, null);
    await open(other);
    await second.call("gateway.ping");
    assert.equal(events(second).length, 4);
  });

  it("hears `gap` for what is not kept, was never there, or belongs to another front", async () => {
    await using socket = await connect();
    const { stream, last } = (await socket.call("events.subscribe")).result as Position;
    for (const params of [
      { after: last + 1000, stream },
      { after: 0, stream: "another" },
    ]) {
      assert.equal((await socket.call("events.subscribe", params)).error?.data.code, "gap");
    }
    assert.equal((await socket.call("events.subscribe", { names: ["no.such"] })).error?.code, -32602);
  });

  it("holds over HTTP nothing that only a connection can hold", async () => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" };
    const body = '{"jsonrpc":"2.0","id":1,"method":"session.open"}';
    const { text } = await exchange(`${keeper.url}/rpc`, { method: "POST", headers, body });
    const answer = JSON.parse(text) as { error: { data: { code: string } } };
    assert.equal(answer.error.data.code, "websocket_only");
  });
});
