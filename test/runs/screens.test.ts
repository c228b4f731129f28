/** Screens are drawn in the order in which things were printed, kept for the next look, and never more of them than is bounded. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import headless from "@xterm/headless";
import { systemClock } from "../../src/clock.ts";
import type { Runner } from "../../src/protocol/keeper/runner.ts";
import type { TerminalSize } from "../../src/runs/harmless-output.ts";
import { Screens } from "../../src/runs/screens.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";

const esc = "\u001b";
const usual: TerminalSize = { columns: 80, rows: 24 };

interface Printed {
  text: string;
  sizes?: ({ offset: number } & TerminalSize)[];
  /** Output before this offset has been overwritten. */
  from?: number;
}

/** Runs that have printed something, and what was read of them. */
class PrintedRuns {
  readonly runs = new Map<string, Printed>();
  readonly reads: { run: string; offset: number }[] = [];
  reading = 0;
  readingMost = 0;
  onRead: (run: string) => void = () => {};

  readonly runner: Pick<Runner, "read"> = {
    read: async ({ run, offset, bytesMax }) => {
      this.reads.push({ run, offset });
      this.readingMost = Math.max(this.readingMost, (this.reading += 1));
      await new Promise(setImmediate);
      this.reading -= 1;
      this.onRead(run);
      const one = this.runs.get(run);
      if (one === undefined) throw new Error(`no run ${run}`);
      const all = Buffer.from(one.text);
      const at = Math.min(Math.max(offset, one.from ?? 0), all.length);
      const bytes = all.subarray(at, at + bytesMax).toString("base64");
      return { offset: at, bytes, printed: all.length, sizes: one.sizes ?? [{ offset: 0, ...usual }] } as never;
    },
  };

  /** Whether a look at it begins with its first byte again. */
  async isDrawnAgain(screens: Screens, run: string): Promise<boolean> {
    this.reads.length = 0;
    await screens.look(run);
    return this.reads.some(({ offset }) => offset === 0);
  }
}

function begin(printed: Record<string, Printed>, clock = systemClock) {
  const runs = new PrintedRuns();
  for (const [run, one] of Object.entries(printed)) runs.runs.set(run, one);
  return { runs, screens: new Screens(runs.runner, clock) };
}

/** As the emulator alone draws these steps. */
async function drawnByXterm(steps: (string | TerminalSize)[]): Promise<string[]> {
  const terminal = new headless.Terminal({ cols: 80, rows: 24, scrollback: 100, allowProposedApi: true });
  for (const step of steps) {
    if (typeof step === "string") await new Promise<void>((resolve) => terminal.write(step, resolve));
    else terminal.resize(step.columns, step.rows);
  }
  const { active } = terminal.buffer;
  const lines = Array.from({ length: terminal.rows }, (_, row) => active.getLine(active.baseY + row)!);
  const texts = lines.map((line) => line.translateToString(true));
  terminal.dispose();
  return texts;
}

describe("a screen", () => {
  leavesNothing();

  it("has each change of its size where it happened, and of several at one place the last", async () => {
    const [one, two, three] = ["a".repeat(100), `${esc}[2;3Hxyz`, "b".repeat(30)];
    const narrow = { columns: 10, rows: 5 };
    const wide = { columns: 30, rows: 6 };
    const sizes = [
      { offset: 0, ...usual },
      { offset: one.length, columns: 2, rows: 2 },
      { offset: one.length, ...narrow },
      { offset: one.length + two.length, ...wide },
    ];
    const text = one + two + three;
    const { runs, screens } = begin({ r: { text, sizes } });
    const expected = await drawnByXterm([one, narrow, two, wide, three]);
    assert.deepEqual((await screens.look("r")).lines, expected);
    const again = await screens.look("r");
    assert.deepEqual([again.lines, again.columns, again.rows, again.offset], [expected, 30, 6, text.length]);
    // A size that comes after a look, with nothing printed since.
    sizes.push({ offset: text.length, columns: 12, rows: 4 });
    assert.deepEqual(
      (await screens.look("r")).lines,
      await drawnByXterm([one, narrow, two, wide, three, { columns: 12, rows: 4 }]),
    );
    runs.runs.set("r", { text: `${text}!`, sizes });
    assert.equal((await screens.look("r")).columns, 12);
  });

  it("is drawn from what is left when the beginning was overwritten, and says up to where", async () => {
    const text = `${"lost".repeat(100)}kept`;
    const { screens } = begin({ r: { text, from: 400 } });
    const { lines, offset } = await screens.look("r");
    assert.deepEqual([lines[0], offset], ["kept", text.length]);
  });

  it("is looked at to the end of what is printed by then, though the run goes on and on", async () => {
    const { runs, screens } = begin({ r: { text: "a".repeat(300_000) } });
    runs.onRead = (run) => {
      const one = runs.runs.get(run)!;
      one.text += "b".repeat(1000);
    };
    const { offset } = await screens.look("r");
    assert.ok(offset >= 300_000 && offset < 600_000, String(offset));
  });

  it("takes the rest in the next looks, when there is more to draw than one may take time for", async () => {
    const text = `${`${esc}[2J${"\r".repeat(4096)}`.repeat(40)}${esc}[Hend`;
    // Each look at the clock is a second later.
    let passedMs = 0;
    const clock = { ...systemClock, monotonic: () => (passedMs += 1000) };
    const { screens } = begin({ r: { text, sizes: [{ offset: 0, columns: 1000, rows: 1000 }] } }, clock);
    const first = await screens.look("r");
    assert.ok(first.offset < text.length, "one look draws all of it, however long that takes");
    let view = first;
    for (let looks = 1; view.offset < text.length; looks += 1) {
      assert.ok(looks < 20, `only up to ${view.offset} after ${looks} looks`);
      view = await screens.look("r");
    }
    assert.equal(view.lines[0], "end");
  });

  it("is drawn one after the other, and a run that cannot be read holds up no other", async () => {
    const { runs, screens } = begin({ a: { text: "one" }, b: { text: "two" } });
    const looks = await Promise.allSettled(["a", "none", "b", "a"].map((run) => screens.look(run)));
    assert.deepEqual(
      looks.map((each) => (each.status === "fulfilled" ? each.value.lines[0] : String(each.reason))),
      ["one", "Error: no run none", "two", "one"],
    );
    assert.equal(runs.readingMost, 1);
  });

  it("shows the modes that its program asked for", async () => {
    const { screens } = begin({ r: { text: `${esc}[?2004h${esc}[?1h` }, plain: { text: "" } });
    assert.deepEqual(await screens.modes("r"), { bracketedPaste: true, applicationCursor: true });
    assert.deepEqual(await screens.modes("plain"), { bracketedPaste: false, applicationCursor: false });
    assert.equal((await screens.look("plain")).alternate, false);
  });
});

describe("a screen that was drawn", () => {
  const text = "hello";

  it("is kept for the next look, until it is forgotten", async () => {
    const { runs, screens } = begin({ r: { text } });
    assert.equal(await runs.isDrawnAgain(screens, "r"), true);
    assert.equal(await runs.isDrawnAgain(screens, "r"), false);
    screens.forget("r");
    assert.equal(await runs.isDrawnAgain(screens, "r"), true);
  });

  it("is one of sixteen at most: the one that nobody looked at for longest goes", async () => {
    const names = Array.from({ length: 17 }, (_, number) => `r${number}`);
    const { runs, screens } = begin(Object.fromEntries(names.map((name) => [name, { text }])));
    for (const name of names.slice(0, 16)) await screens.look(name);
    for (const name of names.slice(0, 16)) assert.equal(await runs.isDrawnAgain(screens, name), false, name);
    await screens.look("r0");
    await screens.look("r16");
    assert.equal(await runs.isDrawnAgain(screens, "r0"), false);
    assert.equal(await runs.isDrawnAgain(screens, "r16"), false);
    assert.equal(await runs.isDrawnAgain(screens, "r1"), true);
  });

  it("is kept up to two million cells, with those above the screen", async () => {
    const of = (rows: number) => ({ text, sizes: [{ offset: 0, columns: 1000, rows }] });
    const { runs, screens } = begin({ a: of(900), b: of(900), c: of(901), d: of(1000) });
    await screens.look("a");
    await screens.look("b");
    assert.equal(await runs.isDrawnAgain(screens, "a"), false, "two of a million cells");
    await screens.look("c");
    assert.equal(await runs.isDrawnAgain(screens, "c"), false);
    assert.equal(await runs.isDrawnAgain(screens, "b"), true, "2,001,000 cells");
    await screens.look("d");
    assert.equal(await runs.isDrawnAgain(screens, "d"), false, "the largest one, alone");
  });

  it("is drawn again when its cells hold far more than they show, and only then", async () => {
    const size = [{ offset: 0, columns: 10, rows: 2 }];
    const accents = (rows: number) => `a${"\u0301".repeat(16 * 10 * (rows + 100))}`;
    const { runs, screens } = begin({
      long: { text: "word ".repeat(20_000), sizes: size },
      heavy: { text: accents(2), sizes: size },
    });
    await screens.look("long");
    assert.equal(await runs.isDrawnAgain(screens, "long"), false);
    await screens.look("heavy");
    assert.equal(await runs.isDrawnAgain(screens, "heavy"), true);
  });
});
