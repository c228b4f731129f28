/** Named scenes of what runs print, as callers and their screens get it. */
import { ask, begin, must, type RunView } from "./acts.ts";
import type { PromiseScene } from "./promises.ts";
import { scriptOf, type Step } from "./scripted.ts";
import type { World } from "./world.ts";

export const esc = "\u001b";

/** What is printed, in latin1, and what of it is text. */
const printed: readonly (readonly [bytes: string, text: string])[] = [
  ["plain", "plain"],
  ["tab\there", "tab\there"],
  [`${esc}[31mred${esc}[0m`, "red"],
  [`${esc}[1;2;3Hplaced`, "placed"],
  [`${esc}[?25lhidden${esc}[?25h`, "hidden"],
  [`${esc}[2 qcursor`, "cursor"],
  [`${esc}(Bset`, "set"],
  [`${esc}cnew`, "new"],
  [`${esc}7kept${esc}8`, "kept"],
  [`a${esc}]0;title\u0007b`, "ab"],
  [`a${esc}]8;;http://x${esc}\\link${esc}]8;;${esc}\\b`, "alinkb"],
  [`a${esc}Pq#0~\u0007still${esc}\\b`, "ab"],
  [`a${esc}_apc${esc}\\b`, "ab"],
  [`a${esc}^pm${esc}\\b`, "ab"],
  [`a${esc}Xsos${esc}\\b`, "ab"],
  [`a${esc}]0;cancelled\u0018b`, "ab"],
  [`a${esc}[31\u001ab`, "ab"],
  [`a${esc}[3\u0009;1mb`, "a\tb"],
  [`a${esc}[3${esc}[1mb`, "ab"],
  [`a${esc}[${"1;".repeat(200)}mb`, "ab"],
  [`a${esc}[3\u007f1mb`, "ab"],
  ["a\u007fb", "a\u007fb"],
  ["caf\u00c3\u00a9", "café"],
  ["\u00e2\u0082\u00ac", "€"],
  ["\u00f0\u009f\u009a\u0080", "🚀"],
  ["a\u00c2\u00a7b", "a§b"],
  // C1 controls in UTF-8.
  ["a\u00c2\u009b31mb", "ab"],
  ["a\u00c2\u009d0;title\u0007b", "ab"],
  ["a\u00c2\u00900;title\u0007b\u00c2\u009cc", "ac"],
  ["a\u00c2\u0084b", "ab"],
  ["a\u00c2\u0098sos\u00c2\u009cb", "ab"],
  [`a${esc}]0;x\u00c2\u0084y\u0007b`, "ay\u0007b"],
  ["a\u00c2b", "a\ufffdb"],
  ["a\u00c2\u00c2\u00a7b", "a\ufffd§b"],
  [`a\u00e2\u0082${esc}[1mb`, "a\ufffdb"],
  [`a\u00f0\u009f${esc}[1m\u009a\u0080b`, "a\ufffd\ufffd\ufffdb"],
  ["a\u00ffb", "a\ufffdb"],
  [`a${esc}[3\u00c3\u00a9b`, "aéb"],
  [`a${esc}]0;\u00c2\u00a7\u0007b`, "ab"],
];

/** Between two reads, in which a few bytes arrive. */
const pauseMs = 20;

/** Reads to the end as text, on from where each answer ended. */
async function readOn(world: World, id: string, waitMs: number): Promise<string> {
  let [text, offset] = ["", 0];
  for (;;) {
    const piece = await ask<{ text: string; offset: number; nextOffset: number; printed: number; run: RunView }>(
      world,
      "run.poll",
      { id, offset, waitMs },
    );
    must(piece.offset === offset, `a piece from ${offset} begins at ${piece.offset}`);
    text += piece.text;
    if (piece.run.state === "exited" && piece.nextOffset === piece.printed) return text;
    must(piece.nextOffset > offset || piece.text === "", "a text without bytes");
    offset = piece.nextOffset;
    await world.clock.sleep(pauseMs);
  }
}

export function inBytes(text: string): Step[] {
  return text.split("").flatMap((byte): Step[] => [{ out: byte }, { ms: 7 }]);
}

export const outputScenes: Record<string, PromiseScene> = {
  "output is text without escape sequences, however it arrives": {
    play: async (world) => {
      const bytes = printed.map(([each]) => `${each}\n`).join("");
      const expected = printed.map(([, each]) => each);
      for (const steps of [[{ out: bytes }, { ms: 50 }], inBytes(bytes)] satisfies Step[][]) {
        const { id } = await begin(world, scriptOf("a", ...steps));
        const lines = (await readOn(world, id, 1000)).split("\n");
        for (const [index, line] of expected.entries())
          must(lines[index] === line, `${JSON.stringify(printed[index]?.[0])} is ${JSON.stringify(lines[index])}`);
        must(lines.length === expected.length + 1, `${lines.length} lines`);
        // From the end, where a sequence or character may have begun before.
        const total = Buffer.from(bytes, "latin1").length;
        const whole = lines.join("\n");
        for (let back = 1; back < total; back += 37) {
          const tail = await ask<{ text: string; offset: number }>(world, "run.poll", { id, offset: -back });
          must(tail.offset === total - back, `the last ${back} bytes begin at ${tail.offset} of ${total}`);
          must(
            whole.endsWith(tail.text.replace(/^\ufffd+/, "")),
            `the last ${back} bytes are ${JSON.stringify(tail.text)}`,
          );
        }
      }
    },
  },
  "an unfinished sequence waits, and is no text": {
    play: async (world) => {
      const { id } = await begin(
        world,
        scriptOf("a", { out: `begun${esc}[3` }, { ms: 3000 }, { out: "1mdone" }, { stay: true }),
      );
      await world.clock.sleep(20);
      const poll = (offset: number, waitMs: number) =>
        ask<{ text: string; nextOffset: number }>(world, "run.poll", { id, offset, waitMs });
      const first = await poll(0, 0);
      must(first.text === "begun" && first.nextOffset === 5, JSON.stringify(first));
      const { nowMs } = world.simulation;
      const none = await poll(5, 500);
      must(none.text === "" && none.nextOffset === 5, JSON.stringify(none));
      const waitedMs = world.simulation.nowMs - nowMs;
      must(waitedMs > 450 && waitedMs < 800, `waited ${waitedMs} ms of 500`);
      const rest = await poll(5, 10_000);
      must(rest.text === "done" && rest.nextOffset === 14, JSON.stringify(rest));
      const longest = await begin(
        world,
        scriptOf("b", { out: `${esc}]0;` }, { out: "x", times: 1_300_000 }, { ms: 100 }, { out: "seen" }, { ms: 100 }),
      );
      must((await ask<RunView>(world, "run.wait", { id: longest.id })).exitCode === 0, "a long title");
      const text = await readOn(world, longest.id, 100);
      must(text.endsWith("seen") && text.length < 300_000, `a title without an end: ${text.length} characters`);
    },
  },
  "output is kept from both its ends, within its bound": {
    config: { exec: { enabled: true, outputBytesMax: 65_536 } },
    play: async (world) => {
      const lines = Array.from({ length: 4000 }, (_, index) => `line ${String(index).padStart(5, "0")} of many\n`);
      const steps = Array.from({ length: 40 }, (_, part): Step => ({
        out: lines.slice(part * 100, part * 100 + 100).join(""),
      }));
      const { id } = await begin(world, scriptOf("a", ...steps, { ms: 500 }));
      const run = await ask<RunView>(world, "run.wait", { id, waitMs: 5000 });
      must(run.state === "exited" && run.exitCode === 0, JSON.stringify(run));
      const whole = lines.join("");
      let [offset, kept, gaps] = [0, 0, 0];
      for (;;) {
        const piece = await ask<Piece>(world, "run.log", { id, offset, bytesMax: 7000 });
        must(piece.printed === whole.length, `${piece.printed} of ${whole.length} bytes printed`);
        const bytes = Buffer.from(piece.bytes, "base64").toString();
        must(
          bytes === whole.slice(piece.offset, piece.nextOffset),
          `other bytes than were printed, from ${piece.offset}`,
        );
        if (piece.offset !== offset) gaps += 1;
        kept += bytes.length;
        offset = piece.nextOffset;
        if (bytes === "") break;
      }
      must(gaps === 1 && offset === whole.length, `${gaps} gaps, to ${offset}`);
      must(kept > 60_000 && kept <= 65_536, `${kept} bytes are kept of at most 65,536`);
      const tail = await ask<{ bytes: string }>(world, "run.log", { id, offset: -22 });
      must(Buffer.from(tail.bytes, "base64").toString() === whole.slice(-22), "another end than was printed");
      const past = await ask<{ bytes: string; offset: number; printed: number }>(world, "run.log", {
        id,
        offset: whole.length + 9,
      });
      must(past.bytes === "" && past.offset === whole.length, JSON.stringify(past));
    },
  },
  "a reader waits for output as long as it says, and no longer than there is none": {
    play: async (world) => {
      const { id } = await begin(world, scriptOf("a", { out: "one" }, { ms: 3000 }, { out: "two" }, { ms: 3000 }));
      await world.clock.sleep(20);
      const read = async (offset: number, waitMs: number) => {
        const { nowMs } = world.simulation;
        const { bytes } = await ask<Piece>(world, "run.log", { id, offset, waitMs });
        return { text: Buffer.from(bytes, "base64").toString(), ms: world.simulation.nowMs - nowMs };
      };
      const first = await read(3, 1000);
      must(first.text === "" && first.ms >= 1000 && first.ms < 1100, JSON.stringify(first));
      const second = await read(3, 10_000);
      must(second.text === "two" && second.ms > 1500 && second.ms < 2100, JSON.stringify(second));
      const third = await read(6, 10_000);
      must(third.text === "" && third.ms > 2500 && third.ms < 3200, `at the end: ${JSON.stringify(third)}`);
      const fourth = await read(0, 10_000);
      must(fourth.text === "onetwo" && fourth.ms < 100, JSON.stringify(fourth));
    },
  },
  "streams that are apart are read apart": {
    play: async (world) => {
      const steps: Step[] = [{ out: "one\n" }, { err: "two\n" }, { out: "three\n" }, { ms: 100 }, { exit: 7 }];
      const apart = await begin(world, scriptOf("a", ...steps), { streams: "apart", stdin: false });
      const merged = await begin(world, scriptOf("b", ...steps));
      const end = await ask<RunView>(world, "run.wait", { id: apart.id, waitMs: 5000 });
      must(end.exitCode === 7 && end.endReason === "exited", JSON.stringify(end));
      await ask<RunView>(world, "run.wait", { id: merged.id, waitMs: 5000 });
      const read = async (id: string, stream: string) => {
        const { bytes } = await ask<{ bytes: string }>(world, "run.log", { id, stream });
        return Buffer.from(bytes, "base64").toString();
      };
      must((await read(apart.id, "stdout")) === "one\nthree\n", "another stdout");
      must((await read(apart.id, "stderr")) === "two\n", "another stderr");
      must((await read(merged.id, "stdout")).split("\n").toSorted().join() === ",one,three,two", "another output");
      must((await read(merged.id, "stderr")) === "", "a merged stderr is read twice");
    },
  },
};

interface Piece {
  bytes: string;
  offset: number;
  nextOffset: number;
  printed: number;
}
