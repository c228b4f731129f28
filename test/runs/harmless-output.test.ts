/** Whatever a program prints, drawing it costs a bounded time, and what means no harm is drawn as it ever was. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { monitorEventLoopDelay } from "node:perf_hooks";
import headless from "@xterm/headless";
import { systemClock } from "../../src/clock.ts";
import { HarmlessOutput, type TerminalSize } from "../../src/runs/harmless-output.ts";
import { Screens } from "../../src/runs/screens.ts";
import type { Runner } from "../../src/protocol/keeper/runner.ts";
import { isWhole } from "../helpers/long.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { patiently } from "../helpers/until.ts";

leavesNothing();

const esc = "\u001b";
/** For one turn of the loop, on a machine that is busy with other tests. */
const turnMsMax = 1000;
/** For one look, however much there is to draw. */
const lookMsMax = 10_000;

/** A runner that has one run, which printed this. */
function runnerOf(printed: Buffer, sizes: ({ offset: number } & TerminalSize)[]): Pick<Runner, "read"> {
  const read = async (asked: { offset: number; bytesMax: number }) => {
    const bytes = printed.subarray(asked.offset, asked.offset + asked.bytesMax).toString("base64");
    return { offset: Math.min(asked.offset, printed.length), bytes, printed: printed.length, run: {}, sizes };
  };
  return { read } as unknown as Runner;
}

const usual = [{ offset: 0, columns: 80, rows: 24 }];
const largest = [{ offset: 0, columns: 1000, rows: 1000 }];
const narrow = [{ offset: 0, columns: 1, rows: 1000 }];

/** Looks until all is drawn, and resolves with the last view; fails when a look or a turn of the loop takes too long. */
async function drawn(text: string | Buffer, sizes = usual, looksMax = 1) {
  const printed = Buffer.from(text);
  const screens = new Screens(runnerOf(printed, sizes), systemClock);
  await screens.modes("r"); // loads the emulator, which takes a while of its own
  const late = monitorEventLoopDelay({ resolution: 5 });
  late.enable();
  try {
    for (let looks = 1; ; looks += 1) {
      const began = performance.now();
      const view = await screens.look("r");
      assert.ok(performance.now() - began < lookMsMax, "one look takes too long");
      if (view.offset >= printed.length || looks >= looksMax) return view;
    }
  } finally {
    late.disable();
    screens.forget("r");
    assert.ok(late.max / 1e6 < turnMsMax, `one turn of the loop took ${Math.round(late.max / 1e6)} ms`);
  }
}

async function drawnByXterm(text: string, { columns: cols, rows }: TerminalSize) {
  const terminal = new headless.Terminal({ cols, rows, scrollback: 100, allowProposedApi: true });
  await new Promise<void>((resolve) => terminal.write(text, resolve));
  const { active } = terminal.buffer;
  const lines = Array.from({ length: rows }, (_, row) => active.getLine(active.baseY + row)?.translateToString(true));
  const view = { lines, cursor: { column: active.cursorX, row: active.cursorY } };
  terminal.dispose();
  return view;
}

describe("a look at a screen costs a bounded time whatever was printed", { timeout: patiently(240_000) }, () => {
  const hostile: [string, string][] = [
    ["a character repeated 2147483647 times", `a${esc}[2147483647b`],
    ["the same by the C1 control", "a\u009b2147483647b"],
    ["the same again and again", `a${esc}[2147483647b`.repeat(20_000)],
    ["each count as large as can be", "@ABCDEFILMPSTXZabe".split("").map((final) => `${esc}[2147483647${final}`).join("").repeat(1000)],
    ["counts with something between", [" @", " A", "'}", "'~"].map((final) => `${esc}[2147483647${final}`).join("").repeat(2000)],
    ["a screen cleared again and again", `${esc}[2J`.repeat(60_000)],
    ["a reset again and again", `${esc}c`.repeat(100_000)],
    ["two screens in turn", `${esc}[?1049h${esc}[?1049l`.repeat(15_000)],
    ["nothing but ends of lines", "\n".repeat(250_000)],
    ["a screen that moves down", `${esc}[H${`${esc}M`.repeat(100_000)}`],
    ["characters that move all others", `${esc}[4h${esc}[H${"a".repeat(200_000)}`],
    ["a title without end", `${esc}]0;${"t".repeat(250_000)}`],
    ["an image without end", `${esc}P${"q".repeat(250_000)}`],
    ["links", Array.from({ length: 9000 }, (_, n) => `${esc}]8;;http://x/${n}${esc}\\a`).join("")],
    ["parameters without end", `${esc}[${"1;".repeat(120_000)}m`],
    ["another size asked for", `${esc}[8;32767;32767t`.repeat(10_000)],
    ["one cell with many accents", `a${"\u0301".repeat(120_000)}`],
  ]; // prettier-ignore
  const sizes = { "80 × 24": usual, "1000 × 1000": largest, "1 × 1000": narrow };
  for (const [index, [name, text]] of hostile.entries()) {
    // Each on one size; the first ones on all of them.
    const isEvery = index < (isWhole ? 3 : 1);
    const tried = Object.entries(sizes).filter((_, place) => isEvery || place === index % 3);
    for (const [shown, size] of tried) it(`${name}: ${shown}`, async () => void (await drawn(text, size)));
  }

  it("outlives a defect of the emulator, and draws what comes after it", async () => {
    const { lines } = await drawn(`first\r\nsecond${esc}[24;80H${esc}[1J${esc}[2;1Hthird`);
    assert.match(lines[1] ?? "", /^third/);
  });

  it("draws in a later look what one look leaves", async () => {
    const { lines, offset } = await drawn(`${`a${esc}[2147483647b`.repeat(2000)}${esc}[2J${esc}[Hend`, usual, 100);
    assert.deepEqual([lines[0], lines[1]], ["end", ""]);
    assert.ok(offset > 0);
  });

  it("draws sequences of any kind, made by chance", async (test) => {
    const seed = Number(process.env["HOLDFAST_SEED"] ?? 20261129);
    test.diagnostic(`HOLDFAST_SEED=${seed}`);
    const next = random(seed);
    for (let round = 0; round < 21; round += 1) {
      const text = Buffer.concat(Array.from({ length: 600 }, () => Buffer.from(anything(next), "latin1")));
      await drawn(text, [usual, largest, narrow][round % 3]);
    }
  });
});

/** A small generator whose numbers come again with its seed. */
function random(seed: number): (below: number) => number {
  let state = seed >>> 0;
  return (below) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

const pick = <T>(next: (below: number) => number, from: readonly T[]): T => from[next(from.length)]!;

/** In latin1, so that half characters are among it. */
function anything(next: (below: number) => number): string {
  const number = () => pick(next, ["", "0", "1", "7", "80", "1000", "65536", "2147483647", "99999999999999999999"]);
  const c1 = () => `\u00c2${String.fromCharCode(0x80 + next(32))}`;
  return pick(next, [
    () => `${esc}[${pick(next, ["", "?", ">", "="])}${number()};${number()}${pick(next, ["", " ", "'", "$", "!"])}${String.fromCharCode(0x40 + next(63))}`,
    () => `\u00c2\u009b${number()}${String.fromCharCode(0x40 + next(63))}`,
    () => `${esc}${String.fromCharCode(0x20 + next(95))}`,
    () => `${esc}${pick(next, "]PX^_".split(""))}${"x".repeat(next(50))}${pick(next, ["\u0007", `${esc}\\`, "\u00c2\u009c", ""])}`,
    () => String.fromCharCode(next(32)),
    () => c1(),
    () => String.fromCharCode(next(256)).repeat(1 + next(20)),
    () => pick(next, ["abc", "\u00e7\u0095\u008c", "\u00f0\u009f\u0098\u0080", "\u00cc\u0081"]).repeat(1 + next(9)),
  ])(); // prettier-ignore
}

describe("what means no harm is drawn as the emulator would draw it by itself", { timeout: patiently(120_000) }, () => {
  it("on random screens of an orderly program", async () => {
    const next = random(7);
    for (let round = 0; round < 60; round += 1) {
      const size = { columns: 20 + next(80), rows: 5 + next(30) };
      const text = Array.from({ length: 300 }, () => harmless(next, size)).join("");
      const { lines, cursor } = await drawn(text, [{ offset: 0, ...size }]);
      assert.deepEqual({ lines, cursor }, await drawnByXterm(text, size), JSON.stringify({ size, text }));
    }
  });

  it("and in pieces of any size", () => {
    const text = Buffer.from(`a${esc}[31mé${esc}]0;title\u0007界\u009b2Jz${esc}[2147483647bend\u0085`);
    const whole = bytesOf(new HarmlessOutput({ columns: 80, rows: 24 }), [text]);
    const single = bytesOf(new HarmlessOutput({ columns: 80, rows: 24 }), [...text].map((byte) => Buffer.of(byte)));
    assert.equal(whole, `a${esc}[31mé界${esc}[2Jz${esc}[1920bend${esc}E`);
    assert.equal(single, whole);
  }); // prettier-ignore

  it("and no C1 control is made from what lies around something that is left out", () => {
    const pieces = [Buffer.of(0xc2), Buffer.from(`${esc}]0;x\u0007`), Buffer.of(0x9b), Buffer.from("5n")];
    assert.doesNotMatch(bytesOf(new HarmlessOutput({ columns: 80, rows: 24 }), pieces), /[\u0080-\u009f]/);
  });
});

function bytesOf(output: HarmlessOutput, pieces: Buffer[]): string {
  return Buffer.concat(pieces.flatMap((piece) => output.take(piece).map(({ bytes }) => bytes))).toString("utf8");
}

function harmless(next: (below: number) => number, { columns, rows }: TerminalSize): string {
  const place = (below: number) => 1 + next(below);
  return pick(next, [
    () => "word ".repeat(1 + next(6)),
    () => "界é\u0301😀",
    () => pick(next, ["\n", "\r\n", "\t", "\b", "\r"]),
    () => `${esc}[${place(rows)};${place(columns)}H`,
    () => `${esc}[${place(columns)}${pick(next, "ABCDEFG@PXZI".split(""))}`,
    () => `${esc}[${place(rows)}${pick(next, "LMSTd".split(""))}`,
    () => `x${esc}[${place(columns)}b`,
    () => `${esc}[${pick(next, ["0J", "2J", "0K", "1K", "2K"])}`, // at 1J the emulator may throw
    () => `${esc}[${place(5)};${5 + next(rows)}r`,
    () => `${esc}[38;2;${next(256)};1;2;1m`,
    () => `${esc}[4:3m${esc}[0m`,
    () => pick(next, [`${esc}7`, `${esc}8`, `${esc}M`, `${esc}D`, `${esc}E`, `${esc}(0qq${esc}(B`, `${esc}[?7l`, `${esc}[?7h`]),
    () => pick(next, [`${esc}[?1049h`, `${esc}[?1049l`, `${esc}[4h`, `${esc}[4l`, `${esc}[?6h`, `${esc}[?6l`]),
    () => `${esc}]0;a title\u0007`,
    () => `\u009b${place(rows)}B`,
    () => pick(next, ["\u0084", "\u0085"]),
  ])(); // prettier-ignore
}
