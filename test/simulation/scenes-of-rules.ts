/** Named scenes of what may be started, within which limits and times. */
import { mkdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { ask, begin, livesOf, must, recordOf, refusalOf, startRun, tookMs, type RunView } from "./acts.ts";
import type { PromiseScene } from "./promises.ts";
import { scriptOf, type Step } from "./scripted.ts";
import type { World } from "./world.ts";

const stay = scriptOf("a", { stay: true });

async function refusals(
  world: World,
  table: readonly (readonly [params: object, code: string | undefined])[],
): Promise<void> {
  for (const [params, code] of table) {
    const got = await refusalOf(world, "run.start", { argv: ["/bin/sh", "-c", "0 x"], cwd: "/", ...params });
    must(got === code, `${JSON.stringify(params).slice(0, 200)}: ${got ?? "accepted"}, not ${code ?? "accepted"}`);
  }
}

export const ruleScenes: Record<string, PromiseScene> = {
  "what cannot be started is refused with nothing started": {
    play: async (world) => {
      await refusals(world, [
        [{ argv: [""] }, "invalid_params"],
        [{ argv: [] }, "invalid_params"],
        [{ argv: undefined }, "invalid_params"],
        [{ command: "0 x" }, "invalid_params"],
        [{ argv: ["/bin/sh", "a\0b"] }, "invalid_params"],
        [{ argv: ["/bin/sh", "x".repeat(200_000)] }, "invalid_params"],
        [{ argv: ["no-such-program-at-all"] }, "spawn_failed"],
        [{ cwd: "relative" }, "invalid_params"],
        [{ cwd: "/no/such/directory" }, "invalid_params"],
        [{ cwd: "/bin/sh" }, "invalid_params"],
        [{ env: { "A=B": "c" } }, "invalid_params"],
        [{ env: { "": "c" } }, "invalid_params"],
        [{ env: { A: "b\0c" } }, "invalid_params"],
        [{ env: { HOLDFAST_RUN: "x" } }, "invalid_params"],
        [{ env: { BIG: "x".repeat(300_000) } }, "invalid_params"],
        [{ kind: "pty", streams: "apart" }, "invalid_params"],
        [{ kind: "pty", columns: 0 }, "invalid_params"],
        [{ host: "nobody" }, "node_unknown"],
        [{ host: "ssh:somewhere" }, "exec_refused"],
        [{ sessionId: "none" }, "session_unknown"],
      ]);
      must(
        (await ask<RunView[]>(world, "run.list", { all: true })).every(({ state }) => state === "exited"),
        "a refused start has a run",
      );
      must(world.servants.length === 0 && world.births.size === 0, "a refused start has started something");
      await refusals(world, [
        [{}, undefined],
        [{ env: { LD_PRELOAD: "x" } }, undefined],
      ]);
    },
  },
  "only allowed programs, directories and variables are started": {
    config: { exec: { enabled: true, allowCommands: ["/bin/sh"], allowDirectories: ["/usr"] } },
    play: async (world) => {
      const { directory } = world.site;
      const outside = join(directory, "outside");
      mkdirSync(outside);
      writeFileSync(join(outside, "program"), "", { mode: 0o755 });
      symlinkSync("/usr", join(directory, "link"));
      await refusals(world, [
        [{ cwd: "/" }, "exec_refused"],
        [{ cwd: outside }, "exec_refused"],
        [{ cwd: "/usr" }, undefined],
        [{ cwd: "/usr/bin" }, undefined],
        [{ cwd: join(directory, "link") }, undefined],
        [{ cwd: "/usr", argv: ["/bin/cat"] }, "exec_refused"],
        [{ cwd: "/usr", argv: [join(outside, "program")] }, "exec_refused"],
        [{ cwd: "/usr", env: { LD_PRELOAD: "x" } }, "exec_refused"],
        [{ cwd: "/usr", env: { NODE_OPTIONS: "x" } }, "exec_refused"],
        [{ cwd: "/usr", env: { HARMLESS: "x" } }, undefined],
      ]);
    },
  },
  "background runs that are off are refused": {
    config: { exec: { enabled: false } },
    play: async (world) => {
      await refusals(world, [[{}, "exec_disabled"]]);
      must((await refusalOf(world, "run.wait", { id: "r1-00000000" })) === "run_unknown", "an unknown run");
    },
  },
  "a tree within its limits lives, and one beyond them ends as a whole": {
    play: async (world) => {
      const grows = (mark: string, fork: number, rss: number) =>
        scriptOf(mark, { ms: 400 }, { fork }, { rss }, { stay: true });
      const limits = { processesMax: 4, memoryBytesMax: 10_000_000 };
      const within = await begin(world, grows("a", 3, 5_000_000), { limits });
      const many = await begin(world, grows("b", 4, 1_000_000), { limits });
      const large = await begin(world, grows("c", 0, 11_000_000), { limits });
      const free = await begin(world, grows("d", 9, 90_000_000));
      await world.clock.sleep(1500);
      must(livesOf(world, within.id) >= 4 && livesOf(world, free.id) === 10, "a tree within its limits is ended");
      for (const { id } of [many, large]) {
        const record = await recordOf(world, id);
        must(record.state === "exited" && record.endReason === "limit-exceeded", JSON.stringify(record));
        must(livesOf(world, id) === 0, "part of a tree beyond its limits lives");
      }
    },
  },
  "each time limit of a run ends it, with its reason": {
    play: async (world) => {
      const ends: [more: object, reason: string, fromMs: number, toMs: number, steps?: Step[]][] = [
        [{ timeoutMs: 2000 }, "timeout", 2000, 2600],
        [{ maxLifetimeMs: 3000 }, "lease-expired", 3000, 3600],
        [{ noOutputTimeoutMs: 1500 }, "no-output", 1500, 2700],
        [{ noOutputTimeoutMs: 1500 }, "no-output", 2500, 3700, [{ ms: 1000 }, { out: "x" }, { stay: true }]],
      ];
      for (const [index, [more, reason, fromMs, toMs, steps = [{ stay: true }]]] of ends.entries()) {
        const { id } = await begin(world, scriptOf(`t${index}`, ...(steps as Step[])), more);
        let record: RunView | undefined;
        const ms = await tookMs(
          world,
          ask<RunView>(world, "run.wait", { id, waitMs: 20_000 }).then((view) => (record = view)),
        );
        must(
          record?.state === "exited" && record.endReason === reason,
          `${JSON.stringify(more)}: ${String(record?.endReason)}`,
        );
        must(ms >= fromMs + 1950 && ms <= toMs + 2200, `${reason} after ${ms} ms`);
      }
      const kept = await begin(world, scriptOf("k", { stay: true }), { noOutputTimeoutMs: 2000 });
      for (let round = 0; round < 4; round += 1) {
        await world.clock.sleep(1500);
        if (round % 2 === 0) await ask(world, "run.write", { id: kept.id, data: "x" });
        else await ask(world, "run.log", { id: kept.id, viewer: true });
      }
      must(livesOf(world, kept.id) > 0, "input and viewers are no activity");
      await ask(world, "run.log", { id: kept.id, viewer: true, waitMs: 6000 });
      must(livesOf(world, kept.id) > 0, "a viewer that waits is no activity");
      await world.clock.sleep(5500);
      must(livesOf(world, kept.id) === 0, "a silent run lives on");
    },
  },
  "what a command leaves behind ends with it, or stays if it may": {
    play: async (world) => {
      const leaves = (mark: string) => scriptOf(mark, { fork: 2 }, { ms: 100 }, { exit: 4 });
      const reaped = await begin(world, leaves("a"));
      const kept = await begin(world, leaves("b"), { descendants: "keep-until-scope-ends" });
      await world.clock.sleep(8000);
      const ended = await recordOf(world, reaped.id);
      must(ended.state === "exited" && ended.exitCode === 4 && ended.endReason === "exited", JSON.stringify(ended));
      must(livesOf(world, reaped.id) === 0, "what a command left behind lives");
      must(livesOf(world, kept.id) === 2, "what may stay has ended");
      const { leaderEndedAt, state } = await ask<RunView & { leaderEndedAt: number | null }>(world, "run.wait", {
        id: kept.id,
        waitMs: 0,
      });
      must(state === "running" && leaderEndedAt !== null, `${state} ${String(leaderEndedAt)}`);
      const end = await ask<RunView>(world, "run.kill", { id: kept.id });
      must(end.exitCode === 4 && livesOf(world, kept.id) === 0, JSON.stringify(end));
    },
  },
  "a signal reaches the command or all of its tree": {
    play: async (world) => {
      const { id } = await begin(
        world,
        scriptOf("a", { trap: "SIGUSR1" }, { trap: "SIGINT" }, { fork: 1 }, { stay: true }),
      );
      await world.clock.sleep(50);
      await ask(world, "run.signal", { id, signal: "SIGUSR1", to: "command" });
      await world.clock.sleep(50);
      must(livesOf(world, id) === 2, "a signal to the command reaches its child");
      await ask(world, "run.signal", { id, signal: "SIGINT" });
      await world.clock.sleep(50);
      must(livesOf(world, id) === 1, "a signal to all does not reach the child");
      const { text } = await ask<{ text: string }>(world, "run.poll", { id });
      must(text === "SIGUSR1\nSIGINT\n", text);
      must(
        (await refusalOf(world, "run.signal", { id, signal: "SIGNONE" })) === "invalid_params",
        "a signal that is none",
      );
      await ask(world, "run.signal", { id, signal: "SIGKILL" });
      const record = await ask<RunView & { signal: string }>(world, "run.wait", { id, waitMs: 5000 });
      must(record.signal === "SIGKILL" && record.exitCode === null, JSON.stringify(record));
      must(
        (await refusalOf(world, "run.signal", { id, signal: "SIGINT" })) === "run_ended",
        "an ended run is signalled",
      );
      must(
        (await refusalOf(world, "run.clear", { id: (await begin(world, stay)).id })) === "run_alive",
        "a live run is cleared",
      );
      await ask(world, "run.clear", { id });
      must((await refusalOf(world, "run.wait", { id })) === "run_unknown", "a cleared run is known");
    },
  },
  "a foreground run waits for its reader, and not for one that has gone": {
    config: { exec: { enabled: true, outputBytesMax: 4096 } },
    play: async (world) => {
      const line = "0123456789abcdef";
      const steps: Step[] = Array.from({ length: 100 }, () => ({ out: line, times: 1024 }));
      const { id } = await begin(world, scriptOf("a", ...steps, { ms: 50 }), { background: false });
      let [offset, text] = [0, ""];
      for (;;) {
        const piece = await ask<{ bytes: string; offset: number; nextOffset: number; run: RunView; printed: number }>(
          world,
          "run.log",
          {
            id,
            offset,
            waitMs: 5000,
            pace: true,
          },
        );
        must(piece.offset === offset, `output for a reader is lost from ${offset} to ${piece.offset}`);
        text += Buffer.from(piece.bytes, "base64").toString();
        offset = piece.nextOffset;
        if (piece.run.state === "exited" && offset === piece.printed) break;
        await world.clock.sleep(200);
      }
      must(text === line.repeat(102_400), `${text.length} bytes have arrived`);
      const gone = await begin(world, scriptOf("b", ...steps, { ms: 50 }), { background: false });
      const ms = await tookMs(world, ask<RunView>(world, "run.wait", { id: gone.id, waitMs: 60_000 }));
      must((await recordOf(world, gone.id)).state === "exited", "a run waits for ever for its reader");
      must(ms > 1000, `a run without a reader took ${ms} ms`);
    },
  },
  "a tree that keeps growing is told, once until it has doubled": {
    play: async (world) => {
      const steps: Step[] = Array.from({ length: 12 }, () => [{ fork: 2 }, { ms: 5000 }] satisfies Step[]).flat();
      const { id } = await begin(world, scriptOf("a", ...steps, { stay: true }));
      const large = await begin(world, scriptOf("b", { fork: 20 }, { stay: true }));
      await world.clock.sleep(75_000);
      const toldOf = async (run: string) => {
        const view = await ask<RunView & { background: { growing: string | null } }>(world, "run.wait", {
          id: run,
          waitMs: 0,
        });
        return view.background.growing;
      };
      must(
        (await toldOf(id))?.startsWith("19 processes, 19 of them /bin/sh") === true,
        `told of ${String(await toldOf(id))}`,
      );
      must((await toldOf(large.id)) === null, "a tree that does not grow is told");
    },
  },
  "ended runs are remembered up to a number": {
    config: { exec: { enabled: true, historyMax: 3 } },
    play: async (world) => {
      const ids: string[] = [];
      for (let index = 0; index < 5; index += 1) {
        const { result } = await startRun(world, `0 h${index}`);
        const { id } = result as { id: string };
        await ask<RunView>(world, "run.wait", { id, waitMs: 5000 });
        await world.clock.sleep(10);
        ids.push(id);
      }
      const known = (await ask<RunView[]>(world, "run.list", { all: true })).map(({ id }) => id);
      must(
        ids.slice(2).every((id) => known.includes(id)) && known.length === 3,
        `of ${ids.join()} are known ${known.join()}`,
      );
      must((await ask<RunView[]>(world, "run.list")).length === 0, "ended runs are listed as live");
    },
  },
  "an input is written once, however often it is sent": {
    play: async (world) => {
      const { id } = await begin(world, scriptOf("a", { line: true }, { line: true }, { line: true }));
      await ask(world, "run.write", { id, data: "one\n", at: 0 });
      await ask(world, "run.write", { id, data: "one\ntwo\n", at: 0 });
      must((await refusalOf(world, "run.write", { id, data: "late\n", at: 20 })) === "input_gap", "a gap is accepted");
      await ask(world, "run.write", {
        id,
        data: Buffer.from("two\nthree\n").toString("base64"),
        encoding: "base64",
        at: 4,
      });
      must(
        (await refusalOf(world, "run.write", { id, data: "?!", encoding: "base64" })) === "invalid_params",
        "no base64",
      );
      const record = await ask<RunView>(world, "run.wait", { id, waitMs: 5000 });
      must(record.exitCode === 0, JSON.stringify(record));
      const { text } = await ask<{ text: string }>(world, "run.poll", { id });
      must(text === "one\ntwo\nthree\n", JSON.stringify(text));
      const { result } = await startRun(world, scriptOf("b", { line: true }), { stdin: false });
      const closed = result as RunView;
      await ask<RunView>(world, "run.wait", { id: closed.id, waitMs: 1000 });
      must(
        (await ask<{ text: string }>(world, "run.poll", { id: closed.id })).text === "(end)\n",
        "an empty stdin has input",
      );
    },
  },
};
