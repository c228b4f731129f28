/** What a remote server sends without end, or in the worst of pieces: its caller is told, and nobody else notices. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { describe, it } from "node:test";
import type { FakeKeeper } from "../../gateway/helpers/fake-keeper.ts";
import { exchange } from "../../helpers/http.ts";
import { leavesNothing } from "../../helpers/no-leaks.ts";
import { patiently, until } from "../../helpers/until.ts";
import { actor, callText, join, startFront } from "../helpers/assembled.ts";
import { behaved, RawRemote, type RawRequest } from "../helpers/raw-remote.ts";

leavesNothing();
const boundMs = 20_000;
const mebibyte = 1024 * 1024;

const frontTo = (url: string): Promise<FakeKeeper> =>
  startFront(
    { far: { command: "false", args: [] }, near: actor("near", "do") },
    { far: { kind: "http", url, headers: {}, connectionTimeoutMs: 10_000 } },
  );

/** How long the front took at most to answer anybody else, and how much it grew, in the course of some work. */
async function watched<T>(
  keeper: FakeKeeper,
  work: Promise<T>,
): Promise<{ value: T; slowestMs: number; grownMiB: number }> {
  const resident = () =>
    Number(/VmRSS:\s*(\d+)/.exec(readFileSync(`/proc/${keeper.front.pid}/status`, "utf8"))?.[1] ?? 0) / 1024;
  const before = resident();
  let [slowestMs, most] = [0, before];
  const state = { isDone: false };
  const over = work.finally(() => (state.isDone = true));
  over.catch(() => {}); // awaited below
  while (!state.isDone) {
    const began = performance.now();
    await exchange(`${keeper.url}/healthz`, { boundMs });
    slowestMs = Math.max(slowestMs, performance.now() - began);
    most = Math.max(most, resident());
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  return { value: await over, slowestMs, grownMiB: most - before };
}

const isWide = (told: { slowestMs: number; grownMiB: number }) => {
  assert.ok(told.slowestMs < 2000, `somebody else waited ${told.slowestMs.toFixed(0)} ms`);
  assert.ok(told.grownMiB < 300, `the front grew by ${told.grownMiB.toFixed(0)} MiB`);
};

const chunked = (piece: string | Buffer) =>
  Buffer.concat([Buffer.from(`${piece.length.toString(16)}\r\n`), Buffer.from(piece), Buffer.from("\r\n")]);
const head = (status: number, type: string) =>
  `HTTP/1.1 ${status} Said\r\ncontent-type: ${type}\r\ntransfer-encoding: chunked\r\n\r\n`;

/** What the server does with a call of its other tool, and what its caller hears. */
const attacks: Record<string, { attack: (request: RawRequest) => void; told: RegExp }> = {
  "an error (HTTP 500) whose body never ends": {
    attack({ socket, flood }) {
      socket.write(head(500, "text/html"));
      flood(chunked("x".repeat(65_536)));
    },
    told: /HTTP 500: xxx/,
  },
  "an error (HTTP 401) whose body never ends": {
    attack({ socket, flood }) {
      socket.write(head(401, "application/json"));
      flood(chunked(`{"error":{"message":"${"x".repeat(60_000)}`));
    },
    told: /HTTP 401/,
  },
  "an error whose body stops in the middle": {
    attack: ({ socket }) => void socket.write(`${head(503, "text/plain")}4\r\nbusy\r\n`),
    told: /HTTP 503: busy/,
  },
  "`100 Continue` without end": {
    attack: ({ flood }) => flood("HTTP/1.1 100 Continue\r\n\r\n".repeat(1000)),
    told: /more than 32 interim answers/,
  },
  "`103 Early Hints` without end": {
    attack: ({ flood }) => flood("HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n".repeat(1000)),
    told: /more than 32 interim answers/,
  },
  "headers without end": {
    attack({ socket, flood }) {
      socket.write("HTTP/1.1 200 OK\r\n");
      flood("x-a: b\r\n".repeat(1000));
    },
    told: /HPE_HEADER_OVERFLOW/,
  },
  "trailers without end": {
    attack({ socket, flood }) {
      socket.write(`${head(200, "application/json")}0\r\n`);
      flood("x-a: b\r\n".repeat(1000));
    },
    told: /HPE_HEADER_OVERFLOW/,
  },
  "extensions of a chunk without end": {
    attack({ socket, flood }) {
      socket.write(`${head(200, "application/json")}1`);
      flood(";a=b".repeat(1000));
    },
    told: /HPE_CHUNK_EXTENSIONS_OVERFLOW/,
  },
  "JSON without end": {
    attack({ socket, flood }) {
      socket.write(head(200, "application/json"));
      flood(chunked("[".repeat(65_536)));
    },
    told: /more than 16777216 bytes/,
  },
  "a line of an event without end": {
    attack({ socket, flood }) {
      socket.write(`${head(200, "text/event-stream")}6\r\ndata: \r\n`);
      flood(chunked("x".repeat(65_536)));
    },
    told: /an event of more than 16777216 bytes/,
  },
  "an event of lines that are empty of words": {
    attack({ socket, flood }) {
      socket.write(head(200, "text/event-stream"));
      flood(chunked("data: \n".repeat(9000)));
    },
    told: /an event of more than 1000000 lines/,
  },
};

describe("a remote server without measure", { timeout: patiently(240_000) }, () => {
  for (const [what, { attack, told }] of Object.entries(attacks))
    it(`that answers with ${what} is cut off, its caller is told, and nobody else waits`, async () => {
      await using remote = await RawRemote.start((request) =>
        behaved(request, (other) => (other.verb === "GET" ? other.reply(405, "text/plain", "") : attack(other))),
      );
      await using keeper = await frontTo(remote.url);
      const talk = await join(keeper, "/mcp/far");
      const heard = await watched(keeper, callText(talk, "other"));
      assert.match(heard.value, told);
      isWide(heard);
      // Its connection is closed, not only forgotten: nothing more is taken from it.
      const { sentBytes } = remote;
      assert.equal(await callText(talk, "plain"), "plain");
      assert.ok(remote.sentBytes - sentBytes < 8 * mebibyte);
      assert.ok(remote.sentBytes < 160 * mebibyte, `${remote.sentBytes} bytes were taken`);
      await talk.delete();
    });

  it("sends sixteen mebibytes in pieces of 4 KiB on a stream that nobody asked, and nobody waits", async () => {
    const listening = Promise.withResolvers<RawRequest>();
    await using remote = await RawRemote.start((request) =>
      behaved(request, (other) =>
        other.verb === "GET" ? listening.resolve(other) : other.reply(400, "text/plain", ""),
      ),
    );
    await using keeper = await frontTo(remote.url);
    const talk = await join(keeper, "/mcp/far");
    assert.equal(await callText(talk, "plain"), "plain");
    const { socket } = await listening.promise;
    const send = async () => {
      const closed = new Promise((resolve) => socket.once("close", resolve));
      socket.write(head(200, "text/event-stream"));
      socket.write(chunked("data: "));
      const piece = chunked("x".repeat(4096));
      for (let sent = 0; sent < 17 * mebibyte && !socket.destroyed; sent += 4096)
        if (!socket.write(piece)) await Promise.race([new Promise((go) => socket.once("drain", go)), closed]);
      await closed;
    };
    const heard = await watched(keeper, send());
    isWide(heard);
    assert.equal(await callText(talk, "plain"), "plain");
    await talk.delete();
  });

  it("that lists three hundred thousand tools, or pages of them without end, is one with ten thousand", async () => {
    const tool = (name: number) => `{"name":"t${name}","inputSchema":{"type":"object"}}`;
    const many = Array.from({ length: 300_000 }, (_, index) => tool(index)).join(",");
    for (const tools of [many, tool(1)]) {
      let page = 0;
      await using remote = await RawRemote.start((request) => {
        const { id, method } = request.message;
        if (method !== "tools/list") return behaved(request, ({ reply }) => reply(405, "text/plain", ""));
        const cursor = tools === many ? "" : `,"nextCursor":"${++page}"`;
        request.reply(200, "application/json", `{"jsonrpc":"2.0","id":${id},"result":{"tools":[${tools}]${cursor}}}`);
      });
      await using keeper = await frontTo(remote.url);
      const talk = await join(keeper);
      const { messages } = await talk.request("tools/list");
      const listed = messages[0]?.result?.["tools"] as { name: string }[];
      const far = listed.filter(({ name }) => name.startsWith("far__"));
      // The same one a thousand times is one.
      assert.equal(far.length, tools === many ? 10_000 : 1);
      await talk.delete();
    }
  });

  it("that goes on with a call which was cancelled, or answered, is hung up on after a while", async () => {
    await using remote = await RawRemote.start((request) =>
      behaved(request, ({ verb, message, socket, reply }) => {
        if (verb === "GET") return reply(405, "text/plain", "");
        if (message.method !== "tools/call") return reply(202, "text/plain", "");
        socket.write(head(200, "text/event-stream"));
        socket.write(chunked(":\n"));
      }),
    );
    await using keeper = await frontTo(remote.url);
    const talk = await join(keeper, "/mcp/far");
    const lost = talk.request("tools/call", { name: "drip" }, "lost");
    const called = () => remote.heard.find(({ message }) => message.params?.name === "drip");
    const call = await until("the call", called, { boundMs });
    await talk.notify("notifications/cancelled", { requestId: "lost" });
    await lost;
    await until("its connection is closed", () => call.socket.destroyed, { boundMs });
    await talk.delete();
  });
});
