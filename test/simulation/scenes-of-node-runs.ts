/** Named scenes of what runs on a node, as callers see it. */
import { ask, close, killFront, killOne, must, open, tookMs, refusalOf, type RunView } from "./acts.ts";
import { approve, leaseMs } from "./node-scenes.ts";
import { liveOn, until, startOn, stay, waitFor, type Invoked, type NodeRunView } from "./node-views.ts";
import type { PromiseScene } from "./promises.ts";
import { scriptOf } from "./scripted.ts";

export const nodeRunScenes: Record<string, PromiseScene> = {
  "a command on a node answers with what it printed and how it ended": {
    node: true,
    play: async (world) => {
      await approve(world);
      const invoke = (line: string, more: object = {}) =>
        ask<Invoked>(world, "node.invoke", { node: "mill", argv: ["/bin/sh", "-c", line], cwd: "/", ...more });
      const done = await invoke(
        scriptOf("a", { line: true }, { err: "oops\n" }, { out: "\u001b[1mend" }, { exit: 5 }),
        { stdin: "in\n" },
      );
      must(done.stdout === "in\n\u001b[1mend" && done.stderr === "oops\n", JSON.stringify(done));
      must(done.stdoutBytes === 10 && done.stderrBytes === 5, JSON.stringify(done));
      must(
        done.run.exitCode === 5 && done.run.endReason === "exited" && done.run.host === "mill",
        JSON.stringify(done.run),
      );
      const empty = await invoke(scriptOf("b", { line: true }));
      must(empty.stdout === "(end)\n" && empty.run.exitCode === 0, JSON.stringify(empty));
      const long = await invoke(scriptOf("c", { out: "0123456789", times: 20 }, { ms: 5000 }), {
        waitMs: 1000,
        outputBytesMax: 64,
      });
      must(long.run.state === "running" && long.stdoutBytes === 200 && long.stdout.length === 64, JSON.stringify(long));
      must((await waitFor(world, long.run.id)).exitCode === 0, "it does not go on");
      const timed = await invoke(scriptOf("d", { stay: true }), { timeoutMs: 1000 });
      must(timed.run.endReason === "timeout" && timed.run.exitCode === null, JSON.stringify(timed.run));
      const refused = await refusalOf(world, "node.invoke", { node: "mill", argv: ["no-such-program"], cwd: "/" });
      must(refused === "spawn_failed", `a program that is not there: ${refused ?? "accepted"}`);
      const gone = world.client().send("POST", "/rpc", {
        jsonrpc: "2.0",
        id: 1,
        method: "node.invoke",
        params: { node: "mill", argv: ["/bin/sh", "-c", stay("e")], cwd: "/", waitMs: 60_000 },
      });
      gone.answer.catch(() => {});
      await world.until("it runs", () => liveOn(world) > 0, 5000);
      gone.connected.socket.destroy();
      await world.clock.sleep(2500);
      must(liveOn(world) === 0, "a command outlives its caller by 2.5 s");
    },
  },
  "a run on a node is read, written to, signalled, resized and listed as one here": {
    node: true,
    play: async (world) => {
      await approve(world);
      const { id } = await startOn(
        world,
        scriptOf("a", { line: true }, { line: true }, { trap: "SIGUSR1" }, { fork: 1 }, { stay: true }),
        { streams: "apart" },
      );
      await ask(world, "run.write", { id, data: "one\n" });
      await world.clock.sleep(100);
      const first = await ask<{ text: string; nextOffset: number }>(world, "run.poll", { id, waitMs: 1000 });
      must(first.text === "one\n", JSON.stringify(first));
      await killFront(world);
      await approve(world);
      await ask(world, "run.write", { id, data: "two\n" });
      const second = await ask<{ text: string }>(world, "run.poll", { id, offset: first.nextOffset, waitMs: 3000 });
      must(second.text === "two\n", JSON.stringify(second));
      await world.clock.sleep(100);
      await ask(world, "run.signal", { id, signal: "SIGUSR1", to: "command" });
      const third = await ask<{ text: string; printed: number }>(world, "run.poll", { id, offset: 8, waitMs: 3000 });
      must(third.text === "SIGUSR1\n" && third.printed === 16, JSON.stringify(third));
      const listed = (await ask<NodeRunView[]>(world, "run.list")).find((run) => run.id === id);
      must(
        listed?.processes.length === 2 && listed.state === "running" && listed.host === "mill",
        JSON.stringify(listed),
      );
      must(
        (await ask<{ runs: RunView[] }>(world, "node.describe", { node: "mill" })).runs[0]?.id === id,
        "its node does not show it",
      );
      must(
        (await refusalOf(world, "run.resize", { id, columns: 9, rows: 9 })) === "invalid_params",
        "a run without a terminal is resized",
      );
      must((await refusalOf(world, "run.clear", { id })) === "run_alive", "a live run is cleared");
      must(
        (await refusalOf(world, "run.signal", { id, signal: "SIGNONE" })) === "invalid_params",
        "a signal that is none",
      );
      const end = await ask<NodeRunView>(world, "run.kill", { id });
      must(end.state === "exited" && end.endReason === "cancelled" && end.endedAt !== null, JSON.stringify(end));
      must(liveOn(world) === 0, "processes outlive their run");
      for (const method of ["run.write", "run.signal", "run.resize"]) {
        const more = { data: "x", signal: "SIGINT", columns: 9, rows: 9 };
        const names: Record<string, string[]> = {
          "run.write": ["data"],
          "run.signal": ["signal"],
          "run.resize": ["columns", "rows"],
        };
        const given = Object.fromEntries(
          Object.entries(more).filter(([name]) => names[method]?.includes(name) === true),
        );
        must((await refusalOf(world, method, { id, ...given })) === "run_ended", `${method} of an ended run`);
      }
      must(
        (await ask<{ text: string }>(world, "run.poll", { id })).text === "one\ntwo\nSIGUSR1\n",
        "its output is lost",
      );
      must(
        (await ask<RunView[]>(world, "run.list", { all: true })).some((run) => run.id === id),
        "an ended run is not remembered",
      );
      await ask(world, "run.clear", { id });
      must((await refusalOf(world, "run.wait", { id })) === "run_unknown", "a cleared run is known");
      const pty = await startOn(
        world,
        scriptOf("t", { size: true }, { trap: "SIGWINCH" }, { raw: 1 }, { size: true }, { stay: true }),
        { kind: "pty", columns: 50, rows: 9 },
      );
      await world.clock.sleep(100);
      await ask(world, "run.resize", { id: pty.id, columns: 60, rows: 10 });
      await ask(world, "run.sendKeys", { id: pty.id, keys: ["x"] });
      await world.clock.sleep(200);
      const drawn = await ask<{ text: string; screen: { columns: number } }>(world, "run.poll", {
        id: pty.id,
        screen: true,
      });
      must(drawn.text === '50x9\nSIGWINCH\n"x"\n60x10\n' && drawn.screen.columns === 60, JSON.stringify(drawn));
      await ask(world, "run.remove", { id: pty.id });
      must(liveOn(world) === 0, "a removed run lives");
    },
  },
  "runs on a node keep their scope, their session and their time": {
    node: true,
    config: { nodes: { leaseMs: 45_000 } },
    play: async (world) => {
      await approve(world);
      const scope = { scopeKey: "build", replaceExistingScope: true };
      const old = await startOn(world, stay("a"), scope);
      const next = await startOn(world, stay("b"), scope);
      must((await waitFor(world, old.id)).endReason === "scope-replaced", "another reason");
      must(liveOn(world) === 1, `${liveOn(world)} runs of one scope`);
      const timed = await startOn(world, stay("c"), { timeoutMs: 1000 });
      must((await waitFor(world, timed.id)).endReason === "timeout", "another reason");
      world.node?.link.cut("both");
      await until(world, "its loss is noticed", (view) => view?.connected === false);
      const shown = await waitFor(world, next.id, 0);
      must(shown.state === "lost" || shown.state === "running", shown.state);
      const absent = await refusalOf(world, "run.start", {
        argv: ["/bin/sh", "-c", stay("d")],
        cwd: "/",
        host: "mill",
      });
      must(absent === "node_absent", `a start on an absent node: ${absent ?? "accepted"}`);
      world.node?.link.mend(false);
      await approve(world);
      must(liveOn(world) === 1, "a run ends within its lease");
      const back = await waitFor(world, next.id, 0);
      must(back.state === "running", `a run is ${back.state} once its node is back`);
      const told: { code?: string | undefined; afterMs?: number } = {};
      const { nowMs } = world.simulation;
      void refusalOf(world, "run.wait", { id: next.id, waitMs: 59_000 }).then((code) =>
        Object.assign(told, { code, afterMs: world.simulation.nowMs - nowMs }),
      );
      world.node?.link.cut("both");
      await world.clock.sleep(80_000);
      must(liveOn(world) === 0, "a run outlives its lease");
      must(told.code === "node_lost" && Number(told.afterMs) < 50_000, `who waits is told ${JSON.stringify(told)}`);
      must((await refusalOf(world, "run.wait", { id: next.id })) === "node_lost", "a run of a lost node is waited for");
      world.node?.link.mend(false);
      await approve(world);
      await world.clock.sleep(2000);
      const ended = await waitFor(world, next.id);
      must(
        ended.state === "exited" && ended.endReason === "lease-expired",
        `${ended.state} ${String(ended.endReason)}`,
      );
    },
  },
  "the first reason of an end stays, and a second one hurries": {
    node: true,
    play: async (world) => {
      await approve(world);
      const session = await open(world, "/mcp/echo");
      const run = await startOn(world, "deaf a", { sessionId: session });
      await world.until("it runs", () => liveOn(world) > 0, 5000);
      const asked = ask<NodeRunView>(world, "run.kill", { id: run.id });
      await world.clock.sleep(500);
      void close(world, "/mcp/echo", session);
      await world.clock.sleep(500);
      const ms = await tookMs(world, ask(world, "run.kill", { id: run.id, now: true }));
      must(ms < 1000, `an end in a hurry took ${ms} ms`);
      const end = await asked;
      must(end.endReason === "cancelled" && end.signal === "SIGKILL", JSON.stringify(end));
      must((await waitFor(world, run.id)).endReason === "cancelled", "a later reason is on record");
      const other = await startOn(world, "deaf b", { sessionId: await open(world, "/mcp/echo") });
      await world.until("it runs", () => liveOn(world) > 0, 5000);
      const [listed] = await ask<{ id: string }[]>(world, "session.list");
      const graceMs = await tookMs(world, ask(world, "session.end", { id: listed!.id }));
      must(graceMs > 4500 && graceMs < 6500, `an end with graces of 5 s took ${graceMs} ms`);
      must((await waitFor(world, other.id)).endReason === "session-ended" && liveOn(world) === 0, "another reason");
    },
  },
  "an end that is asked for while a node is away happens on its return": {
    node: true,
    play: async (world) => {
      await approve(world);
      const run = await startOn(world, stay("a"));
      world.node?.link.cut("both");
      await world.clock.sleep(15_000);
      const asked = ask<NodeRunView>(world, "run.kill", { id: run.id });
      await world.clock.sleep(2000);
      must(liveOn(world) === 1, "an end reaches a node that is away");
      world.node?.link.mend(false);
      const end = await asked;
      must(end.state === "exited" && end.endReason === "cancelled", JSON.stringify(end));
      must(liveOn(world) === 0 && world.simulation.nowMs < 10 * leaseMs, "a run outlives its end");
    },
  },
  "a run on a node ends with the front if it was to, and with the gateway in any case": {
    node: true,
    play: async (world) => {
      await approve(world);
      const kept = await startOn(world, stay("a"));
      const tied = await startOn(world, stay("b"), { onFrontLoss: "kill" });
      await killFront(world);
      await approve(world);
      const ended = await waitFor(world, tied.id);
      must(ended.state === "exited" && ended.endReason === "front-lost", `${ended.state} ${String(ended.endReason)}`);
      must(liveOn(world) === 1 && (await waitFor(world, kept.id, 0)).state === "running", "a kept run has ended");
      const { life } = world.site;
      killOne(world, "keeper");
      await world.until("another keeper serves", () => world.isServing && world.site.life !== life, 60_000);
      await approve(world);
      await world.until("the run has ended", () => liveOn(world) === 0, 60_000);
      await world.clock.sleep(1000);
      const lost = await waitFor(world, kept.id);
      must(lost.state === "exited" && lost.endReason === "keeper-lost", `${lost.state} ${String(lost.endReason)}`);
      const again = await waitFor(world, tied.id);
      must(again.endReason === "front-lost" && again.endedAt === ended.endedAt, "the record of an ended run changes");
    },
  },
};
