/** Looking at a run costs the gateway little whatever the run prints, and its text never has a part of an escape sequence. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { systemClock } from "../../src/clock.ts";
import { readPlain, type OutputPiece } from "../../src/runs/plain-reader.ts";
import { PlainText, withoutEscapes } from "../../src/runs/text.ts";
import { Background } from "../helpers/background.ts";
import { Gateway } from "../helpers/gateway.ts";
import { Home } from "../helpers/home.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { bestTier } from "../helpers/tiers.ts";
import { patiently, until } from "../helpers/until.ts";

leavesNothing();

const esc = "\u001b";

describe("looking at a run of a real gateway", { timeout: patiently(120_000) }, () => {
  let home: Home;
  let gateway: Gateway;
  let background: Background;
  before(async () => {
    home = new Home(bestTier(), { exec: { enabled: true }, stop: { stdinGraceMs: 100, termGraceMs: 300 } });
    gateway = await Gateway.start(home);
    background = new Background(gateway);
  });
  after(async () => {
    await gateway.stop();
    await home[Symbol.asyncDispose]();
  });

  const printed: [string, string][] = [
    ["a character repeated 2147483647 times", String.raw`a\033[2147483647b`],
    ["the cursor's last corner, and what is above erased", String.raw`a\033[999;999H\033[1J`],
    ["tabs without end", String.raw`a\033[2147483647I\033[2147483647Z`],
    ["lines without end", String.raw`a\033[2147483647L\033[2147483647M\033[2147483647S\033[2147483647T`],
  ];
  for (const [name, format] of printed) {
    it(`the front goes on after ${name}`, async () => {
      const { front } = gateway.pids;
      const { id } = await background.start({ kind: "pty", argv: ["printf", format] });
      await background.ended(id);
      for (let look = 0; look < 3; look += 1) {
        const began = performance.now();
        const { screen } = await background.call("run.poll", { id, screen: true });
        assert.equal(screen?.rows, 24);
        assert.ok(performance.now() - began < 5000, "the look took too long");
      }
      const { front: now } = (await gateway.rpc("gateway.status")) as { front: { pid: number; restarts: number } };
      assert.deepEqual([now.pid, now.restarts], [front, 0]);
    });
  }

  const halves: [string, string, string, string, string][] = [
    ["a title", String.raw`A\033]0;ti`, String.raw`tle\007B`, "A", "B"],
    ["a colour", String.raw`A\033[3`, String.raw`1mB`, "A", "B"],
    ["the escape alone", String.raw`A\033`, String.raw`[31mB`, "A", "B"],
    ["an 8-bit CSI", String.raw`A\302`, String.raw`\23331mB`, "A", "B"],
    ["an 8-bit title with its 8-bit end", String.raw`A\302\2350;ti`, String.raw`tle\302\234B`, "A", "B"],
    ["a device string", String.raw`A\033Pq#0`, String.raw`~~\033\\B`, "A", "B"],
    ["a character", String.raw`A\303`, String.raw`\251B`, "A", "éB"],
  ];
  for (const [name, first, second, one, other] of halves) {
    it(`polls give no half of ${name}`, async () => {
      const argv = ["sh", "-c", `printf "$1"; read -r go; printf "$2"`, "sh", first, second];
      const { id } = await background.start({ argv });
      const polled = await until("the first half", async () => {
        const poll = await background.call("run.poll", { id });
        return poll.printed > 1 ? poll : undefined;
      }, { boundMs: 10_000 }); // prettier-ignore
      assert.equal(polled.text, one);
      const waiting = background.call("run.poll", { id, offset: polled.nextOffset, waitMs: 10_000 });
      const began = performance.now();
      await background.call("run.submit", { id, text: "go" });
      const rest = await waiting;
      assert.ok(performance.now() - began < 9000, "it waited although there was something");
      assert.equal(rest.text, other);
      assert.equal(rest.nextOffset, rest.printed);
      await background.ended(id);
    });
  }

  it("the end of a run drops the sequence that has none, and a poll waits behind half a one", async () => {
    const { id } = await background.start({ argv: ["sh", "-c", String.raw`printf 'end\033]0;ti'; read -r go`] });
    await until("its output", async () => (await background.call("run.poll", { id })).printed === 9, {
      boundMs: 10_000,
    });
    const began = performance.now();
    const held = await background.call("run.poll", { id, offset: 3, waitMs: 600 });
    assert.deepEqual([held.text, held.nextOffset], ["", 3]);
    assert.ok(performance.now() - began >= 500, "it did not wait");
    await background.call("run.kill", { id });
    const ended = await background.call("run.poll", { id, offset: 3 });
    assert.deepEqual([ended.text, ended.nextOffset], ["", 9]);
    assert.equal((await background.call("run.poll", { id })).text, "end");
  });
});

describe("text without escape sequences", () => {
  const cases: [string, string][] = [
    [`A${esc}]0;title\u0007B`, "AB"],
    [`${esc}[31mred${esc}[0m\r\n`, "red\r\n"],
    ["A\u009b31mB\u009d0;title\u009cC\u0090q\u009cD\u0084E", "ABCDE"],
    [`${esc}(B${esc}7x${esc}8`, "x"],
    [`A${esc}]8;;http://x${esc}\\link${esc}]8;;${esc}\\`, "Alink"],
    [`A${esc}[3${esc}[1mB`, "AB"],
    [`A${esc}[3\u0018B`, "AB"],
    [`A${esc}[3é`, "Aé"],
    [`A${esc}]0;never`, "A"],
    [`A${esc}`, "A"],
    ["A\u00a0\u00c2\u00bfé界😀", "A\u00a0\u00c2\u00bfé界😀"],
  ];
  it("keeps text, ends of lines and tabs, and nothing that steers", () => {
    for (const [given, plain] of cases) assert.equal(withoutEscapes(Buffer.from(given)), plain, JSON.stringify(given));
  });

  it("is the same whatever the pieces of the polls, however often the front was another one", async () => {
    for (const [given] of cases) {
      const all = Buffer.from(`${given}|${given}`);
      const whole = withoutEscapes(all);
      for (let step = 1; step <= 7; step += 1) {
        let [text, offset] = ["", 0];
        for (let end = step; ; end += step) {
          const piece = await readPlain(readerOf(all, end), { offset, bytesMax: 64, waitMs: 0 }, systemClock);
          text += piece.text;
          offset = piece.nextOffset;
          if (end >= all.length) break;
        }
        assert.equal(text, whole, JSON.stringify([given, step]));
        assert.equal(offset, all.length);
      }
    }
  });

  it("ends a string that has no end after a bound, and takes linear time for it", async () => {
    const all = Buffer.from(`A${esc}]0;${"t".repeat(3_000_000)}`);
    const read = readerOf(all, all.length, "running");
    const began = performance.now();
    assert.equal((await readPlain(read, { offset: 0, bytesMax: 4096, waitMs: 0 }, systemClock)).text, "A");
    const { text, nextOffset } = await readPlain(read, { offset: 1, bytesMax: 4096, waitMs: 0 }, systemClock);
    assert.deepEqual([text, nextOffset > 1_000_000], ["", true]);
    const bytes = new PlainText();
    for (let at = 0; at < all.length; at += 1000) bytes.push(all.subarray(at, at + 1000));
    assert.equal(bytes.read(true).text, "A");
    assert.ok(performance.now() - began < 5000);
  });

  it("of the last bytes begins behind the sequence that goes on into them", async () => {
    const all = Buffer.from(`${"x".repeat(9000)}${esc}]0;a long title\u0007B`);
    for (let back = 1; back <= 18; back += 1) {
      const { text } = await readPlain(
        readerOf(all, all.length),
        { offset: -back, bytesMax: 4096, waitMs: 0 },
        systemClock,
      );
      assert.equal(text, "B", String(back));
    }
  });
});

/** Reads of a run that has printed all up to `end`. */
function readerOf(all: Buffer, end: number, state = end >= all.length ? "exited" : "running") {
  const printed = Math.min(end, all.length);
  return async ({ offset, bytesMax }: { offset: number; bytesMax: number }): Promise<OutputPiece> => {
    const from = Math.min(offset, printed);
    const bytes = all.subarray(from, Math.min(printed, from + bytesMax));
    return { run: { state } as OutputPiece["run"], offset: from, nextOffset: from + bytes.length, printed, bytes };
  };
}
