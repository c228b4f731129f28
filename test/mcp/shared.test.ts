/** Two gateways in one process share nothing. */
import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { IncomingMessage, ServerResponse } from "node:http";
import { describe, it } from "node:test";
import { BodyReader } from "../../src/mcp/http/body.ts";
import { MergedViews } from "../../src/mcp/session/merge.ts";

const mebibyte = 1024 * 1024;
const bytesMax = 300 * mebibyte;

function request(length: number): IncomingMessage {
  const headers = { "content-length": String(length) };
  return Object.assign(new EventEmitter(), { headers }) as unknown as IncomingMessage;
}

describe("two gateways in one process", () => {
  it("number their servers' metadata alike, and show each its own", () => {
    const part = (tool: string) => ({
      server: "one",
      metadata: {
        id: 1,
        learnedAt: 0,
        lists: { tools: [{ name: tool }], prompts: [], resources: [], resourceTemplates: [] },
        initialize: { protocolVersion: "2025-11-25", capabilities: {}, serverInfo: {} },
      },
    });
    const [first, second] = [new MergedViews(), new MergedViews()];
    const seen = first.of([part("a")], false);
    assert.equal(first.of([part("a")], false), seen, "the same again for the same sessions");
    assert.equal(seen.lists.tools.toString(), '{"tools":[{"name":"a"}]}');
    assert.equal(second.of([part("b")], false).lists.tools.toString(), '{"tools":[{"name":"b"}]}');
  });

  it("have each their own room for bodies, which one that leaves gives back", async () => {
    const [first, second] = [new BodyReader(), new BodyReader()];
    const response = {} as ServerResponse;
    const large = request(200 * mebibyte);
    const reading = first.read(large, response, bytesMax);
    large.emit("data", Buffer.alloc(200 * mebibyte));
    assert.equal(await first.read(request(100 * mebibyte), response, bytesMax), "no-room");
    const other = request(100 * mebibyte);
    const read = second.read(other, response, bytesMax);
    other.emit("end");
    assert.ok(Buffer.isBuffer(await read), "the other gateway has room");
    large.emit("close");
    assert.equal(await reading, "gone");
    const next = request(100 * mebibyte);
    const again = first.read(next, response, bytesMax);
    next.emit("end");
    assert.ok(Buffer.isBuffer(await again));
  });
});
