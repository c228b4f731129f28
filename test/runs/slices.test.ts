/** What a program prints is cut into slices of bounded work, each with its cost and its share of the output. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { HarmlessOutput, type Slice, type TerminalSize } from "../../src/runs/harmless-output.ts";

const esc = "\u001b";
const usual: TerminalSize = { columns: 80, rows: 24 };
const largest: TerminalSize = { columns: 1000, rows: 1000 };
/** One slice, as its docstring says: 5 ms, at 0.1 µs for a character. */
const sliceCostMax = 50_000;

const take = (output: HarmlessOutput, text: string): Slice[] => output.take(Buffer.from(text, "latin1"));
const sumOf = (slices: Slice[], of: "cost" | "inputBytes") => slices.reduce((sum, slice) => sum + slice[of], 0);
const textOf = (slices: Slice[]) => Buffer.concat(slices.map(({ bytes }) => bytes)).toString("latin1");

/** Of this text, after another that was taken before it. */
function costOf(text: string, size: TerminalSize, before = ""): number {
  const output = new HarmlessOutput(size);
  take(output, before);
  return sumOf(take(output, text), "cost");
}

describe("the slices of output", () => {
  it("account for every byte once, what is left out too, and carry on with a sequence that is not whole", () => {
    const output = new HarmlessOutput(usual);
    const pieces = [
      "abc",
      `${esc}]0;title`,
      "\u0007",
      esc,
      "[31",
      "mred",
      "x".repeat(10_000),
      "",
      `${esc}[1J${esc}]0;${"t".repeat(9000)}\u0007`,
      "end",
    ];
    for (const piece of pieces) assert.equal(sumOf(take(output, piece), "inputBytes"), piece.length, piece);
  });

  it("share the output among them as they go", () => {
    const output = new HarmlessOutput(usual);
    const text = "x".repeat(400_000);
    const slices = take(output, text);
    let [drawn, counted] = [0, 0];
    for (const { bytes, inputBytes } of slices) {
      drawn += bytes.length;
      counted += inputBytes;
      assert.ok(Math.abs(drawn - counted) <= 8192, `${counted} bytes are counted where ${drawn} are drawn`);
    }
    assert.deepEqual([drawn, counted], [text.length, text.length]);
  });

  it("are bounded in their cost, but for one sequence, and no smaller than they need to be", () => {
    for (const size of [usual, largest, { columns: 1, rows: 1000 }]) {
      for (const text of ["x".repeat(300_000), "\n".repeat(100_000), `${esc}M`.repeat(50_000), "yz".repeat(9000)]) {
        const output = new HarmlessOutput(size);
        if (text.startsWith("y")) take(output, `${esc}[4h`);
        const slices = take(output, text);
        const each = 1000; // the longest line of any of these
        for (const { cost } of slices) assert.ok(cost <= sliceCostMax + each, `${cost}`);
        assert.ok(slices.length <= 2 + (2 * sumOf(slices, "cost")) / sliceCostMax, `${slices.length} slices`);
        assert.equal(textOf(slices), text);
      }
    }
  }); // prettier-ignore

  it("isolate what may make the emulator fail", () => {
    const slices = take(new HarmlessOutput(usual), `before${esc}[1Jafter${esc}[2Jmore`);
    assert.deepEqual(
      slices.map(({ bytes }) => bytes.toString()),
      ["before", `${esc}[1J`, `after${esc}[2Jmore`],
    );
  });
});

describe("the cost of a sequence", () => {
  const cells = largest.columns * largest.rows;

  it("is that of the screen for what touches all of it", () => {
    const whole = [`${esc}[2J`, `${esc}[J`, `${esc}[?1049h`, `${esc}[?1049l`, `${esc}c`, `${esc}#8`, `${esc}[1'}`];
    for (const text of whole) {
      assert.ok(costOf(text, largest) > cells / 10, JSON.stringify(text));
      assert.ok(costOf(text, usual) < 3000, JSON.stringify(text));
    }
  });

  it("is that of lines for what moves lines, and of a line for what moves within one", () => {
    for (const text of ["\n", "\u000b", "\u000c", `${esc}M`, `${esc}D`, "\u00c2\u0085"]) {
      const cost = costOf(text, largest);
      assert.ok(cost > 200 && cost < 5000, `${JSON.stringify(text)} ${cost}`);
    }
    for (const final of "LMST") {
      assert.ok(costOf(`${esc}[1${final}`, largest) < 5000, final);
      assert.ok(costOf(`${esc}[999${final}`, largest) > 200_000, final);
      assert.ok(costOf(`${esc}[999${final}`, { columns: 1000, rows: 10 }) < 10_000, `${final} on ten lines`);
    }
    for (const final of "@PXKIZ") {
      assert.ok(costOf(`${esc}[1${final}`, largest) >= 1000, final);
      assert.ok(costOf(`${esc}[1${final}`, usual) < 200, final);
    }
  });

  it("is small for what only changes how the next character looks, or where it stands", () => {
    for (const text of [`${esc}[1;31m`, `${esc}[5;5H`, `${esc}[3A`, "\t", "\r", "\b"])
      assert.ok(costOf(text, largest) < 50, JSON.stringify(text));
    assert.ok(costOf("x", usual) < 2);
  });

  it("is that of the repeated characters, and of the lines that a narrow screen moves for them", () => {
    assert.ok(costOf(`${esc}[1000b`, usual) > 1000);
    assert.ok(costOf(`${esc}[1b`, usual) < 50);
    assert.ok(costOf("xxxxxxxxxx", { columns: 1, rows: 1000 }) > 1000);
  });

  it("is that of the rest of the line for each character, while the terminal inserts", () => {
    const inserts = `${esc}[4h`;
    const each = (before: string) => costOf("x".repeat(100), largest, before) / 100;
    assert.ok(each("") < 5);
    assert.ok(each(inserts) > 100);
    assert.ok(each(`${esc}[2;4h`) > 100);
    for (const ending of [`${esc}[4l`, `${esc}c`]) assert.ok(each(inserts + ending) < 5, JSON.stringify(ending));
    for (const other of [`${esc}#8`, `${esc}[?4l`, `${esc}M`, `${esc}[4m`, `${esc}[3l`])
      assert.ok(each(inserts + other) > 100, `${JSON.stringify(other)} ends it`);
    for (const other of [`${esc}[?4h`, `${esc}[3h`, `${esc}[4m`]) assert.ok(each(other) < 5, JSON.stringify(other));
  });

  it("is that of the size of now", () => {
    const output = new HarmlessOutput(usual);
    assert.equal(output.resize(usual), false);
    for (const size of [{ columns: 1000, rows: 24 }, largest, { columns: 80, rows: 1000 }, usual]) {
      assert.equal(output.resize(size), true);
      assert.equal(sumOf(take(output, `${esc}[2J\nxx${esc}[K`), "cost"), costOf(`${esc}[2J\nxx${esc}[K`, size));
    }
  });
});

describe("the numbers of a sequence", () => {
  const outOf = (text: string, size = usual, before = "") => {
    const output = new HarmlessOutput(size);
    take(output, before);
    return textOf(take(output, text));
  };
  const huge = "2147483647";

  it("that are counts are no larger than the screen, whichever of its sides is longer", () => {
    for (const final of "@ABCDEFILMPSTXZae") assert.equal(outOf(`${esc}[${huge}${final}`), `${esc}[80${final}`);
    assert.equal(outOf(`${esc}[${huge}A`, { columns: 10, rows: 300 }), `${esc}[300A`);
    assert.equal(outOf(`${esc}[${huge} @`), `${esc}[80 @`);
    assert.equal(outOf(`${esc}[7A`), `${esc}[7A`);
  });

  it("that are repetitions are no more than the cells of the screen, 65536, or a line while it inserts", () => {
    assert.equal(outOf(`${esc}[${huge}b`), `${esc}[1920b`);
    assert.equal(outOf(`${esc}[${huge}b`, largest), `${esc}[65536b`);
    assert.equal(outOf(`${esc}[${huge}b`, usual, `${esc}[4h`), `${esc}[80b`);
  });

  it("that are none, as colours, modes and places, are left as they are up to 65535", () => {
    for (const text of [`${esc}[38;2;255;128;1m`, `${esc}[?2004h`, `${esc}[5000;5000H`, `${esc}[>65535c`, `${esc}[?9999J`])
      assert.equal(outOf(text), text);
    assert.equal(outOf(`${esc}[${huge}m`), `${esc}[65535m`);
  }); // prettier-ignore

  it("are none in what asks for another size, and in what is no sequence", () => {
    for (const text of [`${esc}[8;100;100t`, `${esc}[?t`, `${esc}]0;title\u0007`, "\u007f"])
      assert.equal(outOf(text), "");
  });
});
