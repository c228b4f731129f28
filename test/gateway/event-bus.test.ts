/** Events are numbered without a hole, kept within bounds, and a reader who missed some is told so. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { systemSources } from "../../src/random.ts";
import { EventBus } from "../../src/gateway/event-bus.ts";

const numbers = (found: ReturnType<EventBus["since"]>) =>
  found === "gap" ? found : found.map(({ event }) => event.seq);

describe("the event bus", () => {
  it("numbers from 1 and gives back what came after a number", () => {
    const bus = new EventBus(systemSources);
    assert.equal(bus.last, 0);
    assert.deepEqual(bus.since(0), []);
    for (const n of [1, 2, 3]) assert.equal(bus.publish("a", { n }), n);
    assert.deepEqual(numbers(bus.since(0)), [1, 2, 3]);
    assert.deepEqual(numbers(bus.since(2)), [3]);
    assert.deepEqual(numbers(bus.since(3)), []);
    const [kept] = bus.since(2) as { json: string; event: object }[];
    assert.deepEqual(JSON.parse(kept?.json ?? ""), kept?.event);
  });

  it("says gap for what is forgotten and for what never was", () => {
    const bus = new EventBus(systemSources, 16);
    for (let n = 1; n <= 100; n++) bus.publish("a", { n });
    assert.equal(bus.since(0), "gap");
    assert.equal(bus.since(80), "gap");
    assert.equal(bus.since(101), "gap");
    assert.deepEqual(numbers(bus.since(97)), [98, 99, 100]);
    const oldest = [...Array(100).keys()].find((seq) => bus.since(seq) !== "gap") ?? 0;
    assert.ok(100 - oldest >= 14 && 100 - oldest <= 16, `${100 - oldest} are kept`);
  });

  it("is bounded in characters too, also by one event that is too large", () => {
    const bus = new EventBus(systemSources, 1000, 1000);
    for (let n = 1; n <= 50; n++) bus.publish("a", { text: "x".repeat(100) });
    const kept = [...Array(50).keys()].map((seq) => bus.since(seq)).find((found) => found !== "gap") ?? [];
    const characters = (kept as { json: string }[]).reduce((sum, { json }) => sum + json.length, 0);
    assert.ok(characters > 300 && characters <= 1000, `${characters} characters`);
    assert.equal(bus.publish("a", { text: "x".repeat(5000) }), 51);
    assert.deepEqual(bus.since(51), []);
    assert.equal(bus.since(50), "gap");
    assert.equal(bus.publish("a", {}), 52);
    assert.deepEqual(numbers(bus.since(51)), [52]);
  });

  it("hands each event to who listens then, until they leave", () => {
    const bus = new EventBus(systemSources);
    const heard: number[] = [];
    bus.publish("a", {});
    const leave = bus.subscribe(({ event }) => heard.push(event.seq));
    bus.publish("a", {});
    bus.publish("b", {});
    leave();
    bus.publish("a", {});
    assert.deepEqual(heard, [2, 3]);
  });
});
