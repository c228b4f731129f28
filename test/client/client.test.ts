/** The client that stays: it comes back by itself, to its session and to its place among the events, or says what it lost. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { HoldfastClient, HoldfastError } from "../../src/client/index.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";
import { Line } from "./helpers/line.ts";

leavesNothing();

const bound = { boundMs: 15_000 };
const isCode = (code: string) => (error: unknown) => error instanceof HoldfastError && error.code === code;

describe("the client", { timeout: patiently(90_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  before(async () => {
    home = new Home(bestTier());
    gateway = await Gateway.start(home);
  });
  after(async () => {
    await gateway.stop();
    await home[Symbol.asyncDispose]();
  });
  const address = () => ({ state: home.stateDir });

  it("finds the gateway and its token by the state directory, calls and ends", async () => {
    await using client = await HoldfastClient.connect(address());
    assert.equal((await client.call("gateway.status", {})).url, gateway.url);
    await assert.rejects(client.call("session.end", { id: "nobody" }), isCode("session_unknown"));
    await client.close();
    await assert.rejects(client.call("gateway.ping", {}), isCode("gateway_unreachable"));
  });

  it("says who is wrong: the token, or the address", async () => {
    await assert.rejects(HoldfastClient.connect({ ...address(), token: "wrong" }), isCode("unauthorized"));
    const nobody = { ...address(), url: "http://127.0.0.1:1" };
    await assert.rejects(HoldfastClient.connect(nobody), isCode("gateway_unreachable"));
  });

  it("keeps its session and misses no event when the line is cut", async () => {
    await using line = await Line.to(gateway.url);
    await using other = await HoldfastClient.connect(address());
    await using client = await HoldfastClient.connect({ ...address(), url: line.url });
    const mine = await client.openSession({ leaseMs: 20_000 });
    await using events = await client.events(["session.opened", "session.ended"]);
    const opened: string[] = [];
    for (let round = 0; round < 3; round++) {
      opened.push((await other.call("session.open", {})).id);
      line.cut();
      await until("the gateway sees nobody", () => line.connections === 0, bound);
      opened.push((await other.call("session.open", {})).id);
      line.mend();
      // Waits for the new connection by itself.
      const known = await client.call("session.list", {});
      assert.equal(known.find(({ id }) => id === mine.id)?.present, true);
    }
    const heard: string[] = [];
    for await (const event of events) {
      if (event.name === "session.opened") heard.push(event.data.session);
      if (heard.length === opened.length) break;
    }
    assert.deepEqual(heard, opened);
    for (const id of opened) await other.endSession(id);
    await client.endSession(mine.id);
  });

  it("fails a call in flight instead of sending it twice, and tells of a session whose lease is over", async () => {
    await using line = await Line.to(gateway.url);
    const lost: string[] = [];
    await using client = await HoldfastClient.connect({
      ...address(),
      url: line.url,
      onSessionLost: (id) => lost.push(id),
    });
    const { id } = await client.openSession({ leaseMs: 100 });
    const call = client.call("gateway.ping", {});
    line.cut();
    await assert.rejects(call, isCode("gateway_unreachable"));
    await using other = await HoldfastClient.connect(address());
    const isOver = async () => (await other.call("session.list", {})).every((one) => one.id !== id);
    await until("the lease is over", isOver, bound);
    line.mend();
    await client.call("gateway.ping", {});
    assert.deepEqual(lost, [id]);
  });

  it("gives up after reconnectMs, and whoever waits hears why", async () => {
    await using line = await Line.to(gateway.url);
    await using client = await HoldfastClient.connect({ ...address(), url: line.url, reconnectMs: 200 });
    const events = await client.events();
    line.cut();
    await assert.rejects(client.call("gateway.ping", {}), isCode("gateway_unreachable"));
    await assert.rejects(events.next(), isCode("gateway_unreachable"));
  });

  it("comes back after a front's kill -9: the same session, and a gap where events were forgotten", async () => {
    await using client = await HoldfastClient.connect(address());
    const { id } = await client.openSession();
    const events = await client.events();
    const { front } = gateway.pids;
    process.kill(front, "SIGKILL");
    await assert.rejects(async () => {
      for await (const _ of events);
    }, isCode("gap"));
    const again = await client.call("session.list", {});
    assert.equal(again.find((one) => one.id === id)?.present, true);
    await using anew = await client.events(["session.ended"]);
    await client.endSession(id);
    const { value } = await anew.next();
    assert.equal(value?.name === "session.ended" && value.data.session, id);
    await gateway.renewed({ front });
  });
});
