/** Named scenes of terminals: what is typed into them, and what their screens show. */
import headless from "@xterm/headless";
import { ask, begin, must, refusalOf, type RunView } from "./acts.ts";
import type { PromiseScene } from "./promises.ts";
import { esc, inBytes } from "./scenes-of-output.ts";
import { scriptOf, type Step } from "./scripted.ts";
import type { World } from "./world.ts";

export const terminalScenes: Record<string, PromiseScene> = {
  "a terminal is typed into, resized and drawn": {
    play: async (world) => {
      const more = { kind: "pty", columns: 40, rows: 6, env: { SCENE: "played" } };
      const steps: Step[] = [
        { size: true },
        { trap: "SIGWINCH" },
        { raw: 3 },
        { out: `${esc}[?1h${esc}[?2004h` },
        { raw: 3 },
        { raw: 15 },
        { raw: 4 },
        { raw: 2 },
        { size: true },
        { variable: "SCENE" },
        { stay: true },
      ];
      const { id } = await begin(world, scriptOf("a", ...steps), more);
      const rest = () => world.clock.sleep(50);
      await rest();
      await ask(world, "run.sendKeys", { id, keys: ["Up"] });
      await rest();
      await ask(world, "run.sendKeys", { id, keys: ["Up"] });
      await rest();
      await ask(world, "run.paste", { id, text: "a\nb" });
      await rest();
      await ask(world, "run.submit", { id, text: "abc" });
      await rest();
      must(
        (await refusalOf(world, "run.sendKeys", { id, keys: ["x", "Nokey"] })) === "keys_invalid",
        "a key that is none",
      );
      await ask(world, "run.resize", { id, columns: 30, rows: 8 });
      await ask(world, "run.sendKeys", { id, keys: ["C-c", "M-x"].slice(0, 1) });
      await ask(world, "run.sendKeys", { id, keys: ["q"] });
      await rest();
      const { text, screen } = await ask<{ text: string; screen: Screen }>(world, "run.poll", { id, screen: true });
      const lines = [
        "40x6",
        '"\\u001b[A"',
        '"\\u001bOA"',
        '"\\u001b[200~a\\rb\\u001b[201~"'.slice(0, 99),
        '"abc\\r"',
        "SIGWINCH",
        '"\\u0003q"',
        "30x8",
        "played",
        "",
      ];
      must(text === lines.join("\n"), `it has read ${JSON.stringify(text)}`);
      must(screen.columns === 30 && screen.rows === 8 && !screen.alternate, JSON.stringify(screen));
      must(screen.cursor.row <= 7, JSON.stringify(screen.cursor));
      must(
        screen.lines.some((line) => line.trim() === "played"),
        JSON.stringify(screen.lines),
      );
      const status = (await ask<(RunView & { size: object })[]>(world, "run.list")).find((each) => each.id === id);
      must(JSON.stringify(status).includes('"columns":30,"rows":8'), JSON.stringify(status));
      const { nowMs } = world.simulation;
      const end = await ask<RunView & { signal: string }>(world, "run.kill", { id });
      must(world.simulation.nowMs - nowMs < 500, "the end of a terminal is no hang-up");
      must(end.state === "exited" && end.signal === "SIGHUP" && end.endReason === "cancelled", JSON.stringify(end));
      must(
        (await refusalOf(world, "run.resize", { id, columns: 9, rows: 9 })) === "run_ended",
        "an ended run is resized",
      );
      must((await refusalOf(world, "run.write", { id, data: "x" })) === "run_ended", "an ended run is written to");
    },
  },
  "keys are the bytes that a terminal sends": {
    play: async (world) => {
      for (const [keys, bytes] of keyTable) {
        const { id } = await begin(world, scriptOf(`k${bytes.length}`, { raw: bytes.length }));
        await ask(world, "run.sendKeys", { id, keys });
        await ask<RunView>(world, "run.wait", { id, waitMs: 1000 });
        const { text } = await ask<{ text: string }>(world, "run.poll", { id });
        must(text === `${JSON.stringify(bytes)}\n`, `${keys.join(" ")} are ${text}`);
        await ask(world, "run.clear", { id });
      }
      const { id } = await begin(world, "daemon a");
      for (const key of ["C-é", "C-", "M-Nokey", "ab", "C-ab", "Ctrl-1"])
        must((await refusalOf(world, "run.sendKeys", { id, keys: [key] })) === "keys_invalid", `${key} is a key`);
    },
  },
  "a program that does not read its terminal is typed into later, within a bound": {
    play: async (world) => {
      const { id } = await begin(world, scriptOf("a", { ms: 3000 }, { raw: 6000 }, { stay: true }), { kind: "pty" });
      await ask(world, "run.write", { id, data: "x".repeat(5000) });
      await ask(world, "run.write", { id, data: "y".repeat(1000) });
      let full: string | undefined;
      for (let count = 0; count < 100 && full === undefined; count += 1)
        full = await refusalOf(world, "run.write", { id, data: "z".repeat(60_000) });
      must(full === "input_full", `input without a bound: ${full ?? "accepted"}`);
      await world.clock.sleep(2000);
      const early = await ask<{ text: string }>(world, "run.poll", { id });
      must(early.text === "", JSON.stringify(early));
      await world.clock.sleep(1500);
      const { text } = await ask<{ text: string }>(world, "run.poll", { id });
      must(text.startsWith(`"${"x".repeat(5000)}${"y".repeat(1000)}zz`) || text === "", `${text.length} characters`);
    },
  },
  "a screen shows what a terminal would, however it is printed": {
    play: async (world) => {
      for (const [index, drawing] of drawings.entries()) {
        const hostile = withheld[index % withheld.length]!;
        const steps: Step[] = [{ out: hostile }, ...(index % 2 === 0 ? [{ out: drawing }] : inBytes(drawing))];
        const { id } = await begin(world, scriptOf(`d${index}`, ...steps, { stay: true }), {
          kind: "pty",
          columns: 20,
          rows: 5,
        });
        await world.clock.sleep(index % 2 === 0 ? 50 : 200 + drawing.length * 9);
        const first = await screenOf(world, id);
        mustBeDrawn({ ...first, offset: first.offset - Buffer.from(hostile, "latin1").length }, drawing);
        must(JSON.stringify(await screenOf(world, id)) === JSON.stringify(first), "a second look shows something else");
        await ask(world, "run.remove", { id });
      }
    },
  },
  "many screens are drawn again when they are looked at": {
    play: async (world) => {
      const ids: string[] = [];
      for (let index = 0; index < 18; index += 1) {
        const { id } = await begin(world, scriptOf(`s${index}`, { out: `screen ${index}` }, { stay: true }), {
          kind: "pty",
        });
        ids.push(id);
      }
      await world.clock.sleep(50);
      for (let round = 0; round < 2; round += 1)
        for (const [index, id] of ids.entries()) {
          const { lines, columns, rows } = await screenOf(world, id);
          must(lines[0] === `screen ${index}` && columns === 80 && rows === 24, JSON.stringify(lines[0]));
        }
    },
  },
};

interface Screen {
  columns: number;
  rows: number;
  lines: string[];
  cursor: { column: number; row: number };
  alternate: boolean;
  offset: number;
}

async function screenOf(world: World, id: string): Promise<Screen> {
  return (await ask<{ screen: Screen }>(world, "run.poll", { id, screen: true })).screen;
}

const keyTable: readonly (readonly [keys: string[], bytes: string])[] = [
  [["a", "é", "^"], "aé^"],
  [["Enter", "return", "TAB", "BTab"], "\r\r\t\u001b[Z"],
  [["Esc", "Space", "BSpace", "Delete"], "\u001b \u007f\u001b[3~"],
  [["C-a", "Ctrl-z", "^c", "C-?", "C-space", "C-@", "C-_"], "\u0001\u001a\u0003\u007f\0\0\u001f"],
  [["M-x", "Alt-Up", "A-Enter", "M-C-a"], "\u001bx\u001b\u001b[A\u001b\r\u001b\u0001"],
  [["Up", "Down", "Left", "Right", "Home", "End"], "\u001b[A\u001b[B\u001b[D\u001b[C\u001b[H\u001b[F"],
  [["F1", "F12", "PageUp", "Insert"], "\u001bOP\u001b[24~\u001b[5~\u001b[2~"],
];

/** Drawings of programs, in latin1. */
const drawings = [
  "hello\r\nworld",
  `a long line that wraps around the screen${esc}[2;3Hplaced`,
  `${esc}[?1049h${esc}[2J${esc}[Hediting${esc}[5;1H:wq`,
  `one\r\ntwo\r\nthree\r\nfour\r\nfive\r\nsix${esc}[1;1H${esc}[Lnew${esc}[2M`,
  `abcdef${esc}[3D${esc}[Pxy${esc}[1@z${esc}[1K`,
  `x${esc}[30bend${esc}[4hinsert${esc}[3Dmid${esc}[4l`,
  `${esc}[2;4rtop\r\n\r\n\r\n\r\nbottom${esc}[2S${esc}[1T`,
  `caf\u00c3\u00a9 \u00f0\u009f\u009a\u0080 \u00e2\u0082\u00ac${esc}[1Jx`,
  `tab\there${esc}[1Zback${esc}[Xgone${esc}[2;2f+`,
  `${esc}7saved${esc}8over\u00c2\u0085next\u00c2\u0084down\u00c2\u008dup`,
  `${esc}[3;3Hmiddle${esc}[1J${esc}[Aup${esc}[K${esc}[2Bdown`,
  `${esc}[?25l${esc}[1;31mred${esc}[0m${esc}[?7hwrap${esc}[?7l${"n".repeat(30)}`,
  `${esc}#8${esc}[2;2Hx${esc}[2J`,
  `${esc}cclean${esc}D${esc}E${esc}M${esc}H`,
];

/** Sequences that draw nothing and are withheld from the emulator, which may answer or change by them. */
const withheld = [
  `${esc}]0;title\u0007`,
  `${esc}[8;10;10t`,
  `${esc}Pq~${esc}\\`,
  `${esc}_x${esc}\\`,
  "\u00c2\u009d0;t\u0007",
];

interface Emulator {
  readonly _core: { readonly _inputHandler: { parse(data: string): void } };
}

function mustBeDrawn(screen: Screen, drawing: string): void {
  const terminal = new headless.Terminal({ cols: 20, rows: 5, scrollback: 100, allowProposedApi: true });
  (terminal as unknown as Emulator)._core._inputHandler.parse(
    Buffer.from(drawing, "latin1").toString().replaceAll("\u008d", `${esc}M`),
  );
  const { active } = terminal.buffer;
  const lines = Array.from(
    { length: 5 },
    (_, row) => active.getLine(active.baseY + row)?.translateToString(true) ?? "",
  );
  const expected = {
    lines,
    cursor: { column: active.cursorX, row: active.cursorY },
    alternate: active.type === "alternate",
  };
  const { columns, rows, offset, ...shown } = screen;
  terminal.dispose();
  must(columns === 20 && rows === 5 && offset === Buffer.from(drawing, "latin1").length, JSON.stringify(screen));
  const sorted = (one: typeof expected) => JSON.stringify([one.lines, one.cursor, one.alternate]);
  must(
    sorted(shown) === sorted(expected),
    `${JSON.stringify(drawing)} is drawn as ${sorted(shown)}, not ${sorted(expected)}`,
  );
}
