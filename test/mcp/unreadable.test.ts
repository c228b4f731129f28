/** What a server prints that is no message: nobody waits for ever for what was in it, and no message is lost beside it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { LostAnswers } from "../../src/mcp/wire/lost-answers.ts";
import { salvage } from "../../src/mcp/wire/salvage.ts";
import type { FakeKeeper } from "../gateway/helpers/fake-keeper.ts";
import { growthOf, linearMax } from "../helpers/growth.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently, until } from "../helpers/until.ts";
import { startFront } from "./helpers/assembled.ts";
import { behaved, RawRemote } from "./helpers/raw-remote.ts";
import { scripted, Talk, type Answer } from "./helpers/talk.ts";

leavesNothing();

const deep = "[".repeat(600) + "]".repeat(600);
/** What the server says in place of an answer to the call `$id`, and why it is none. */
const broken: Record<string, [line: string, why: RegExp]> = {
  "nested over 512": [`{"jsonrpc":"2.0","id":$id,"result":{"a":${deep}}}`, /nested deeper than 512/],
  "with a control byte in a string": ['{"jsonrpc":"2.0","id":$id,"result":{"a":"\u0001"}}', /a control character/],
  "whose id comes after what cannot be read": ['{"result":{"a":"\u0001\\"{"},"id":$id,"jsonrpc":"2.0"}', /a control/],
  "with its id as text": [`{"jsonrpc":"2.0","id":"$id","result":{"a":${deep}}}`, /nested deeper/],
  "without an id that can be found": [
    '{"jsonrpc":"2.0","result":{"a":"\u0001"},"i\u0001d":$id}',
    /a control character/,
  ],
  "with its id twice": ['{"jsonrpc":"2.0","id":$id,"id":$id,"result":{}}', /"id" is there twice/],
  "without a version": ['{"id":$id,"result":{}}', /"jsonrpc": "2.0" is missing/],
  "with a result and an error": ['{"jsonrpc":"2.0","id":$id,"result":{},"error":{}}', /either a result or an error/],
  "cut off": ['{"jsonrpc":"2.0","id":$id,"result":{"a":', /not JSON/],
  "with single quotes inside": [`{"jsonrpc":"2.0","id":$id,"result":{'a':1}}`, /expected a key/],
  "that is an error for no request": [
    '{"jsonrpc":"2.0","id":null,"error":{"code":-32700,"message":"no"}}',
    /names no request/,
  ],
};

const server = { command: process.execPath, args: [scripted] };
const messageBytesMax = 1024 * 1024;
const startKinds = (more: object = {}): Promise<FakeKeeper> =>
  startFront(
    { joined: server, idle: server, pooled: server },
    { joined: more, idle: { idleTimeoutMs: 600_000, ...more }, pooled: { share: "pool", ...more } },
    { messageBytesMax },
  );

async function talkTo(keeper: FakeKeeper, name: string): Promise<Talk> {
  const talk = new Talk(`${keeper.url}/mcp/${name}`);
  await talk.initialize();
  return talk;
}

const wordsOf = ({ messages }: Answer) => messages.find(({ error }) => error !== undefined)?.error;

describe("a server's answer that cannot be read", { timeout: patiently(120_000) }, () => {
  it("is an error for its caller at once, on a server of its own, an idle-limited and a pooled one", async () => {
    await using keeper = await startKinds();
    for (const name of ["joined", "idle", "pooled"]) {
      const talk = await talkTo(keeper, name);
      for (const [what, [line, why]] of Object.entries(broken)) {
        const error = wordsOf(await talk.steps([{ write: `${line}\n` }]));
        assert.match(error?.message ?? "", why, `${name}, ${what}`);
        assert.equal(error?.data?.code, "answer_unreadable");
      }
      assert.deepEqual((await talk.steps([{ answer: { still: "there" } }])).messages[0]?.result, { still: "there" });
      await talk.delete();
    }
  });

  it("goes to its own caller among several, by its id, or as soon as the others have their answers", async () => {
    await using keeper = await startKinds();
    for (const name of ["joined", "idle", "pooled"]) {
      const talk = await talkTo(keeper, name);
      const one = talk.steps([{ hear: ["method", "heard"] }, { answer: "one" }]);
      const named = await talk.steps([{ write: `${broken["nested over 512"]![0]}\n` }]);
      assert.match(wordsOf(named)?.message ?? "", /cannot be read/);
      const lost = talk.steps([{ write: `${broken["without an id that can be found"]![0]}\n` }]);
      // Both wait, until the one has its answer.
      await talk.heard();
      assert.equal((await one).messages.at(-1)?.result, "one");
      assert.match(wordsOf(await lost)?.message ?? "", /cannot be read/);
      await talk.delete();
    }
  });

  it("to `initialize`, and to what Holdfast asks for itself, is told at once", async () => {
    const odd = {
      command: "sh",
      args: ["-c", `read -r line; printf '{"jsonrpc":"2.0","result":{"a":"\\001"}}\\n'; exec sleep 60`],
    };
    await using keeper = await startFront({ joined: odd, pooled: odd }, { pooled: { share: "pool" } });
    for (const name of ["joined", "pooled"]) {
      const began = performance.now();
      const answer = await new Talk(`${keeper.url}/mcp/${name}`).initialize();
      assert.match(wordsOf(answer)?.message ?? "", /cannot be read: not JSON: a control character/);
      assert.ok(performance.now() - began < 10_000);
    }
    await until("the session is over", () => [...keeper.runs.values()].every(({ view }) => view.state === "exited"), {
      boundMs: 10_000,
    });
  });

  it("that is a question of the server gets the server an error, as does one that is too long", async () => {
    await using keeper = await startKinds();
    const head = '{"jsonrpc":"2.0","id":"q1","method":"sampling/createMessage","params":{"a":';
    const questions = [
      [{ write: `${head}"\u0001"}}\n` }],
      [{ write: `${head}${deep}}}\n` }],
      [{ write: `${head}"` }, { fill: 1_500_000 }, { write: '"}}\n' }],
    ];
    for (const name of ["joined", "pooled"])
      for (const question of questions) {
        const talk = await talkTo(keeper, name);
        const { messages } = await talk.steps([...question, { hear: ["id", "q1"] }, { answer: "heard" }]);
        assert.equal(messages.at(-1)?.result, "heard", name);
        const refused = (await talk.heard()).find(({ id }) => id === "q1");
        assert.match(refused?.error?.message ?? "", /the request cannot be read/);
        await talk.delete();
      }
  });

  it("for bytes that are not UTF-8 alone is readable: they become U+FFFD", async () => {
    await using keeper = await startKinds();
    for (const name of ["joined", "idle", "pooled"]) {
      const talk = await talkTo(keeper, name);
      const call = talk.steps([{ hear: ["method", "ask"] }]);
      await until("it", async () => (await talk.heard()).some(({ method }) => method === "do"), { boundMs: 5000 });
      const { id } = (await talk.heard()).find(({ method }) => method === "do")!;
      const bytes = Buffer.from(`{"jsonrpc":"2.0","id":${id},"result":{"a":"x\xff\xc0\xafy"}}\n`, "latin1");
      await talk.steps([{ bytes: bytes.toString("base64") }, { answer: "said" }]);
      assert.equal((await call).messages[0]?.result?.["a"], "x\uFFFD\uFFFD\uFFFDy");
      await talk.delete();
    }
  });

  it("of a remote server is told at once, also where its stream stays open", async () => {
    const bad = (id: unknown) => `{"jsonrpc":"2.0","id":${String(id)},"result":{"a":"\u0001"}}`;
    const replies: Record<string, (id: unknown) => [type: string, body: string]> = {
      json: (id) => ["application/json", bad(id)],
      event: (id) => ["text/event-stream", `data: ${bad(id)}\n\n`],
      nameless: () => ["text/event-stream", `data: {"jsonrpc":"2.0","result":${deep}}\n\n`],
    };
    await using remote = await RawRemote.start((request) =>
      behaved(request, ({ verb, message, socket, reply }) => {
        if (verb === "GET") return reply(405, "text/plain", "");
        const [type, body] = replies[message.params?.name ?? ""]!(message.id);
        // Longer than it is: the response stays open.
        const length = type === "application/json" ? Buffer.byteLength(body) : 1_000_000;
        socket.write(`HTTP/1.1 200 OK\r\ncontent-type: ${type}\r\ncontent-length: ${length}\r\n\r\n${body}`);
      }),
    );
    const far = { kind: "http" as const, url: remote.url, headers: {} };
    await using keeper = await startFront({ far: server }, { far });
    const talk = await talkTo(keeper, "far");
    for (const name of Object.keys(replies)) {
      const error = wordsOf(await talk.request("tools/call", { name }));
      assert.equal(error?.data?.code, "answer_unreadable", `${name}: ${error?.message}`);
    }
    await talk.delete();
  });
});

describe("what a server prints besides its messages", { timeout: patiently(60_000) }, () => {
  const answer = '{"jsonrpc":"2.0","id":$id,"result":{"ok":true}}';
  it("costs no message that stands on the same line", async () => {
    await using keeper = await startKinds();
    for (const name of ["joined", "idle", "pooled"]) {
      const talk = await talkTo(keeper, name);
      for (const line of [
        `Starting... ${answer}`,
        `\u001b[32m{debug}\u001b[0m {"level":"info"} ${answer}`,
        `${answer} listening on port 3000`,
        `\uFEFF${answer}`,
        `[${answer}]`,
        `${answer}${answer}`,
        `INFO {"id": 3, "method": "x"} done ${answer}\r`,
      ])
        assert.deepEqual((await talk.steps([{ write: `${line}\n` }])).messages[0]?.result, { ok: true }, line);
      const [progress, result] = (
        await talk.steps(
          [
            { write: '[{"jsonrpc":"2.0","method":"notifications/progress","params":{"progressToken":"$token"' },
            { write: `}},${answer}]\n` },
          ],
          {},
        )
      ).messages;
      assert.deepEqual((result ?? progress)?.result, { ok: true });
      await talk.delete();
    }
  });

  it("is counted, and shown to who waited in vain", async () => {
    await using keeper = await startKinds({ requestTimeoutMs: 300 });
    for (const name of ["joined", "idle", "pooled"]) {
      const talk = await talkTo(keeper, name);
      const error = wordsOf(await talk.steps([{ write: "ready\u001b[2J to\tserve\nmore\nand more\n" }]));
      assert.match(error?.message ?? "", /requestTimeoutMs = 300; 3 lines of its output held no message/);
      assert.match(error?.message ?? "", /beginning with "ready\?\[2J to\\tserve": stdout is for MCP messages only/);
      await talk.delete();
    }
  });

  it("is shown where `initialize` had no answer, in few words", async () => {
    const chatty = {
      command: "sh",
      args: ["-c", `yes "Starting the server, please wait" | head -n 500; exec sleep 60`],
    };
    const settings = { connectionTimeoutMs: 500 };
    await using keeper = await startFront(
      { joined: chatty, pooled: chatty },
      { joined: settings, pooled: { share: "pool", ...settings } },
    );
    for (const name of ["joined", "pooled"]) {
      const error = wordsOf(await new Talk(`${keeper.url}/mcp/${name}`).initialize());
      assert.match(
        error?.message ?? "",
        /; 500 lines of its output held no message and was dropped, beginning with "Starting the/,
      );
      assert.ok(error!.message.length < 500);
    }
  });
});

describe("a line that is no message", () => {
  it("is looked through at a cost that is its length", () => {
    const worst = ["{", '{"a":', '{"jsonrpc":"2.0",', "{}", '{"jsonrpc":"2.0","id":1,"method":"x"}', "[{", '{"\\'];
    for (const piece of worst) {
      const growth = growthOf((length) => salvage(Buffer.from(piece.repeat(length / piece.length))), 200_000);
      assert.ok(growth < linearMax, `${piece}: four times as long cost ${growth.toFixed(1)} times as much`);
    }
  });

  it("keeps what is inside a broken message for a part of it", () => {
    const inner = '{"jsonrpc":"2.0","id":1,"method":"tools/call"}';
    const { messages, answer } = salvage(Buffer.from(`{"jsonrpc":"2.0","id":7,"result":[${inner},"\u0001"]}`));
    assert.deepEqual([messages.length, answer?.ids], [0, ["7"]]);
    assert.deepEqual(salvage(Buffer.from('{"level":30,"id":5,"msg":"x\u0001"}')).answer, undefined);
  });

  it("names a question's id only if the id is whole: else the error for it would not be JSON", () => {
    const idOf = (id: string) => salvage(Buffer.from(`{"method":"m","jsonrpc":"2.0","id":${id}`)).request;
    for (const id of ['"\\"}', '"a', '"a\u0001"', '"\\x"', "1-2", "-", "1e", "01"])
      assert.equal(idOf(id), undefined, id);
    for (const id of ['"\\""', "1", "-1.5e+3"]) assert.equal(idOf(id), id);
  });
});

describe("lost answers", () => {
  it("are told to whom they must have been for, never to anybody else", () => {
    const open = new Set([1, 2, 3]);
    const failed: number[] = [];
    const fail = (number: number) => {
      failed.push(number);
      open.delete(number);
    };
    const answers = new LostAnswers({ numbers: () => [...open], fail });
    answers.lost([], "?");
    open.add(4);
    assert.deepEqual(failed, []);
    answers.answered(4);
    open.delete(4);
    answers.answered(2);
    open.delete(2);
    assert.deepEqual(failed, []);
    answers.lost([], "?"); // two lost, for two calls
    assert.deepEqual(
      failed.toSorted((a, b) => a - b),
      [1, 3],
    );
    answers.lost([], "?");
    assert.equal(failed.length, 2);
    answers.lost([9], "?"); // given up before
    assert.equal(failed.at(-1), 9);
  });
});
