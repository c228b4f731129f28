/** What waits is kept alive or given up, in a bounded time: silent calls, streams that nobody reads, questions nobody hears. */
import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, request, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { Duplex } from "node:stream";
import { describe, it } from "node:test";
import { systemRandom } from "../../src/random.ts";
import type { SessionManager } from "../../src/mcp/session/session-manager.ts";
import { LineStream } from "../../src/mcp/stdio/line-reply.ts";
import { LineEndpoint } from "../../src/mcp/stdio/line-endpoint.ts";
import { Call, noOwner } from "../../src/mcp/wire/call.ts";
import { HttpReply } from "../../src/mcp/http/http-reply.ts";
import { Numbers } from "../../src/mcp/wire/numbers.ts";
import { EventStream, queuedBytesMax, stallMsMax } from "../../src/mcp/wire/event-stream.ts";
import { Outbox, questionWaitMsMax } from "../../src/mcp/session/outbox.ts";
import { StreamHeartbeat, heartbeatMs } from "../../src/mcp/wire/stream-heartbeat.ts";
import type { Question } from "../../src/mcp/servers/client.ts";
import type { SessionSet } from "../../src/sessions/set.ts";
import { ManualClock } from "../helpers/manual-clock.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { until } from "../helpers/until.ts";

/** One request on a real socket, held at both ends. */
async function holdResponse(): Promise<
  { response: ServerResponse; answer: Promise<IncomingMessage> } & AsyncDisposable
> {
  const server = createServer();
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  const outgoing = request({ port: (server.address() as AddressInfo).port, host: "127.0.0.1", agent: false });
  const answer = once(outgoing, "response").then(([incoming]) => incoming as IncomingMessage);
  answer.catch(() => {}); // a test that resets the connection does not read it
  outgoing.on("error", () => {});
  outgoing.end();
  const [, response] = (await once(server, "request")) as [IncomingMessage, ServerResponse];
  return {
    response,
    answer,
    async [Symbol.asyncDispose]() {
      outgoing.destroy();
      server.closeAllConnections();
      server.close();
      await once(server, "close");
    },
  };
}

const megabyte = () => Buffer.alloc(1e6, "x");
const question = (number: number): Question => ({ number, serverId: String(number), serverToken: undefined });
const params = (startedAt: number) => ({
  number: 1,
  clientId: "1",
  clientToken: undefined,
  startsTask: false,
  startedAt,
});

describe("waiting", () => {
  leavesNothing();

  it("a call without an answer opens its stream and sends comments, and is still answered", async () => {
    const clock = new ManualClock();
    const pulse = new StreamHeartbeat(clock);
    await using held = await holdResponse();
    const call = new Call(params(clock.now()), new HttpReply(held.response, {}), noOwner);
    const beating = { heartbeat: (now: number) => call.heartbeat(now, heartbeatMs) };
    pulse.add(beating);
    clock.advance(heartbeatMs - 1);
    assert.equal(held.response.headersSent, false);
    clock.advance(heartbeatMs + 1);
    const answer = await held.answer;
    assert.match(answer.headers["content-type"] ?? "", /event-stream/);
    let read = "";
    answer.setEncoding("utf8").on("data", (chunk: string) => (read += chunk));
    await until("a comment", () => read.startsWith(":\n\n"), { boundMs: 2000 });
    call.answer(Buffer.from('{"id":7}'), [{ start: 6, end: 7, text: "1" }], () => {});
    await once(answer, "end");
    assert.match(read, /data: \{"id":1\}\n\n$/);
    pulse.remove(beating);
    assert.equal(clock.pending, 0, "the last member takes the timer with it");
  });

  it("a stream whose reader takes nothing is reset after its time, and what it owed is released", async () => {
    await using held = await holdResponse();
    const stream = new EventStream(held.response, {});
    const closed = once(held.response, "close");
    let released = 0;
    // More than the socket buffers of both ends take.
    for (let sent = 0; sent < 100 && held.response.writableLength < 1e6; sent++)
      stream.send(megabyte(), () => void released++);
    assert.ok(held.response.writableNeedDrain);
    const before = released;
    stream.heartbeat(1000);
    stream.heartbeat(1000 + stallMsMax - 1);
    assert.equal(held.response.destroyed, false);
    stream.heartbeat(1000 + stallMsMax);
    await closed;
    assert.ok(released > before, "the server must be able to go on");
    assert.equal(stream.open, false);
  });

  it("a stream is reset before too much waits for its reader, where nobody holds the server up", async () => {
    await using held = await holdResponse();
    const stream = new EventStream(held.response, {});
    const closed = once(held.response, "close");
    const event = megabyte();
    let most = 0;
    for (let sent = 0; sent < 1000 && stream.open; sent++) {
      stream.send(event, () => {});
      most = Math.max(most, held.response.writableLength);
    }
    await closed;
    assert.ok(most > queuedBytesMax && most < queuedBytesMax + 2e6, String(most));
  });

  it("a client that speaks lines and reads no answers is not heard further, and cut off if a server goes on", async () => {
    const ping = Buffer.from(`{"jsonrpc":"2.0","id":"${"x".repeat(1e6)}","method":"ping"}\n`);
    let sent = 0;
    const read = () => void (sent++ < 200 && client.push(ping));
    const client = new Duplex({ read, write: () => {} });
    const parts = {
      sessions: {} as SessionSet,
      manager: { numbers: new Numbers(1) } as SessionManager,
      clock: new ManualClock(),
      random: systemRandom,
      messageBytesMax: 2e6,
      questionMs: 0,
    };
    const coming = {
      selection: { label: null, isPrefixed: true, servers: [] },
      parentId: null,
      caller: { id: "t", scopes: new Set<never>() },
    };
    new LineEndpoint(parts).join(client, Buffer.alloc(0), coming);
    await until("nobody reads", () => client.isPaused(), { boundMs: 5000 });
    const waits = client.writableLength;
    assert.ok(waits > queuedBytesMax && waits < queuedBytesMax + 4e6, String(waits));
    const closed = once(client, "close");
    new LineStream(client).send(ping, () => {});
    await closed;
  });

  it("a slow reader owes the release of a line until it took it", async () => {
    await using held = await holdResponse();
    const stream = new EventStream(held.response, {});
    let released = 0;
    let sent = 0;
    for (; sent < 100 && released === sent; sent++) stream.send(megabyte(), () => void released++);
    assert.ok(released < sent);
    (await held.answer).resume();
    await until("all lines are released", () => released === sent, { boundMs: 5000 });
  });

  it("a question that nobody heard is given up after its time, a younger one is kept", () => {
    const unheard: number[] = [];
    const outbox = new Outbox(({ number }) => void unheard.push(number));
    outbox.add(Buffer.from("a"), question(1), 0);
    outbox.add(Buffer.from("b"), undefined, 0);
    outbox.add(Buffer.from("c"), question(2), 10);
    outbox.expire(questionWaitMsMax - 1);
    assert.deepEqual(unheard, []);
    outbox.expire(questionWaitMsMax);
    assert.deepEqual(unheard, [1]);
    assert.deepEqual(outbox.take().map(String), ["b", "c"]);
  });

  it("what waits is bounded by bytes too, and the oldest notification goes first", () => {
    const unheard: number[] = [];
    const outbox = new Outbox(({ number }) => void unheard.push(number));
    const large = (letter: string) => Buffer.alloc(400_000, letter);
    outbox.add(large("a"), undefined, 0);
    outbox.add(large("b"), question(1), 0);
    outbox.add(large("c"), undefined, 0);
    outbox.add(large("d"), question(2), 0);
    assert.deepEqual(
      outbox.take().map((event) => event.toString("latin1", 0, 1)),
      ["b", "d"],
    );
    for (const number of [3, 4, 5]) outbox.add(large("e"), question(number), 0);
    assert.deepEqual(unheard, [5]);
  });
});
