/** Calls that were given up at a pooled server: remembered until they are answered, however late and long, and no longer. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { readEnvelope } from "../../../src/mcp/wire/envelope.ts";
import { Numbers } from "../../../src/mcp/wire/numbers.ts";
import type { Client } from "../../../src/mcp/servers/client.ts";
import type { PendingCall } from "../../../src/mcp/wire/call.ts";
import { Upstream } from "../../../src/mcp/servers/upstream.ts";
import { ManualClock } from "../../helpers/manual-clock.ts";

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;

interface Sent {
  id?: unknown;
  method?: string;
  params?: { requestId?: number };
  error?: { message: string };
}

class Stage {
  readonly sent: Sent[] = [];
  readonly upstream: Upstream;
  readonly #numbers = new Numbers(3);

  constructor() {
    const none = () => {};
    this.upstream = new Upstream({
      server: "p",
      shared: true,
      asksClients: true,
      requestTimeoutMs: 0,
      messageBytesMax: 1000,
      numbers: this.#numbers,
      clock: new ManualClock(),
      log: none,
      onClosed: none,
      onBusy: none,
      onListChanged: none,
      onToken: none,
    });
    const send = (line: Buffer) => this.sent.push(JSON.parse(line.toString()) as Sent) > 0;
    this.upstream.attach({ runId: "r", send, close: () => Promise.resolve() });
  }

  /** A session, and what it was asked. */
  party(asked: number[] = []): Client {
    const party: Client = {
      hear: (_line, _edits, release) => release(),
      ask: (question) => asked.push(question.number) > 0,
      withdraw: () => true,
      isSubscribed: () => false,
      roots: () => [],
    };
    this.upstream.join(party);
    return party;
  }

  call(party: Client): PendingCall {
    const body = Buffer.from('{"jsonrpc":"2.0","id":1,"method":"tools/call"}');
    const number = this.#numbers.next();
    const params = {
      number,
      clientId: "1",
      clientToken: undefined,
      startsTask: false,
      headers: {},
      failStatus: 200,
      startedAt: 0,
    };
    const none = () => {};
    const call: PendingCall = {
      params,
      deadline: undefined,
      done: false,
      tell: none,
      answer: none,
      fail: none,
      dismiss: none,
    };
    this.upstream.request(party, call, readEnvelope(body), body);
    return call;
  }

  hear(message: object): void {
    this.upstream.onLine(Buffer.from(JSON.stringify(message)), () => {});
  }

  answer({ params: { number } }: PendingCall, text = ""): void {
    this.hear({ jsonrpc: "2.0", id: number, result: { text } });
  }

  ask(id: string): void {
    this.hear({ jsonrpc: "2.0", id, method: "sampling/createMessage", params: {} });
  }
}

describe("a call that was given up at a pooled server", () => {
  it("is over with its late answer, also with one that is too long or cannot be read", () => {
    const answers: ((stage: Stage, call: PendingCall) => void)[] = [
      (stage, call) => stage.answer(call),
      (stage, call) => stage.answer(call, "x".repeat(2000)),
      (stage, { params: { number } }) => stage.hear({ id: number, result: {} }),
      (stage, { params: { number } }) =>
        stage.hear({ jsonrpc: "2.0", id: number, error: { code: 1, message: "late" } }),
    ];
    for (const [index, answer] of answers.entries()) {
      const stage = new Stage();
      const asked: number[] = [];
      const call = stage.call(stage.party());
      stage.upstream.abandon(call);
      const other = stage.party(asked);
      stage.call(other);
      stage.ask("q1");
      assert.equal(asked.length, 0, "it could be meant for the other");
      assert.equal(stage.upstream.hasAbandonedCalls, true);
      answer(stage, call);
      assert.equal(stage.upstream.hasAbandonedCalls, false, String(index));
      stage.ask("q2");
      assert.equal(asked.length, 1, String(index));
    }
  });

  it("among more than are remembered with their sessions keeps nobody from being asked once all are answered", () => {
    const stage = new Stage();
    const asked: number[] = [];
    const party = stage.party();
    const calls = Array.from({ length: 1500 }, () => stage.call(party));
    for (const call of calls) stage.upstream.abandon(call);
    stage.call(stage.party(asked));
    for (const call of calls.slice(0, 1499)) stage.answer(call);
    stage.ask("q1");
    assert.equal(asked.length, 0);
    stage.answer(calls[1499]!);
    stage.ask("q2");
    assert.equal(asked.length, 1);
  });

  it("keeps nothing of its session once that has left, and still keeps others from being asked", async () => {
    const stage = new Stage();
    const leave = (): WeakRef<Client> => {
      const party = stage.party();
      const [one] = [stage.call(party), stage.call(party)];
      stage.upstream.abandon(one);
      stage.upstream.leave(party);
      return new WeakRef(party);
    };
    const left = leave();
    await new Promise((resolve) => setImmediate(resolve));
    gc();
    assert.equal(left.deref(), undefined);
    const asked: number[] = [];
    stage.call(stage.party(asked));
    stage.ask("q1");
    assert.equal(asked.length, 0);
  });
});
