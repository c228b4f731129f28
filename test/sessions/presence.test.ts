/** A client that has left holds no session: its hold would never be released, and the session would never expire. */
import assert from "node:assert/strict";
import { EventEmitter, once } from "node:events";
import type { ServerResponse } from "node:http";
import { describe, it } from "node:test";
import { HeldSessions } from "../../src/gateway/methods/session.ts";
import type { Peer } from "../../src/gateway/methods/handlers.ts";
import { holdUntilClosed } from "../../src/mcp/http/presence.ts";
import { Scope } from "../../src/ownership/scope.ts";
import { systemRandom } from "../../src/random.ts";
import { SessionSet } from "../../src/sessions/set.ts";
import { ManualClock } from "../helpers/manual-clock.ts";

function begin() {
  const clock = new ManualClock();
  const limits = { idleLeaseMs: 60_000, sessionsMax: 10 };
  const set = new SessionSet(new Scope("gateway"), { clock, random: systemRandom }, limits, () => {});
  return { clock, session: set.open({ client: { name: "test", version: "1" } }, null) };
}

class FakePeer implements Peer {
  gone = false;
  readonly #listeners: (() => void)[] = [];
  notify = () => true;
  notifyJson = () => true;
  drained = () => Promise.resolve();

  onGone(listener: () => void): () => void {
    if (this.gone) listener();
    else this.#listeners.push(listener);
    return () => {};
  }

  leave(): void {
    this.gone = true;
    for (const listener of this.#listeners) listener();
  }
}

function response(isClosed: boolean): ServerResponse {
  return Object.assign(new EventEmitter(), { closed: isClosed }) as unknown as ServerResponse;
}

describe("a session", () => {
  it("is held by a connection until it is gone, however often it is asked to", () => {
    const { session } = begin();
    const [held, peer] = [new HeldSessions(), new FakePeer()];
    assert.equal(held.hold(session, peer).present, true);
    held.hold(session, peer);
    assert.equal(session.lease.holders, 1);
    peer.leave();
    assert.equal(session.lease.holders, 0);
  });

  it("is not held by a connection that was lost before its request was carried out, and expires", async () => {
    for (const met of [false, true]) {
      const { session, clock } = begin();
      const [held, peer] = [new HeldSessions(), new FakePeer()];
      if (met) held.hold(begin().session, peer);
      peer.leave();
      assert.equal(held.hold(session, peer).present, false);
      assert.equal(session.lease.holders, 0);
      const ended = new Promise((resolve) => session.onEnd(resolve));
      clock.advance(60_000);
      assert.equal(await ended, "lease-expired");
    }
  });

  it("is held by an open response, and not by one that has closed", async () => {
    const { session } = begin();
    const open = response(false);
    holdUntilClosed(session, open);
    assert.equal(session.lease.holders, 1);
    const closed = once(open, "close");
    open.emit("close");
    await closed;
    assert.equal(session.lease.holders, 0);
    holdUntilClosed(session, response(true));
    assert.equal(session.lease.holders, 0);
  });
});
