/** Named scenes of nodes: who is let in, and what runs on them, as callers see it. */
import { ask, killFront, must, refusalOf, tookMs } from "./acts.ts";
import { approve } from "./node-scenes.ts";
import { liveOn, relive, startOn, stay, until, viewOf, waitFor, type NodeView } from "./node-views.ts";
import { forgetGateway } from "../../src/nodes/node/pin.ts";
import type { PromiseScene } from "./promises.ts";
import { scriptOf } from "./scripted.ts";

export const nodePromises: Record<string, PromiseScene> = {
  "a node waits until it is approved, and what was decided lasts": {
    node: true,
    play: async (world) => {
      await until(world, "it waits", (view) => view?.waiting === true);
      const pending = await viewOf(world);
      must(pending?.state === "pending" && pending.name === "mill" && !pending.connected, JSON.stringify(pending));
      must((await ask<NodeView[]>(world, "node.pending")).length === 1, "it is not among those that wait");
      const start = { argv: ["/bin/sh", "-c", stay("a")], cwd: "/", host: "mill" };
      must((await refusalOf(world, "run.start", start)) === "node_unknown", "a pending node is given a run");
      for (const name of ["local", "", "a b", "-x", "x".repeat(65)])
        must(
          (await refusalOf(world, "node.approve", { node: "mill", name })) === "invalid_params",
          `a node called ${name}`,
        );
      const approved = await ask<NodeView>(world, "node.approve", { node: pending?.id.slice(0, 8), name: "press" });
      must(approved.state === "approved" && approved.name === "press", JSON.stringify(approved));
      await until(world, "it is connected", (view) => view?.connected === true && !view.waiting, 5000);
      const there = await viewOf(world);
      must(
        there?.address === "loopback" && there.connectedAt !== null && there.silentSince === null,
        JSON.stringify(there),
      );
      must(
        (await ask<NodeView>(world, "node.rename", { node: "press", name: "mill" })).name === "mill",
        "it is not renamed",
      );
      const phases = world.node!.progress.map(({ phase }) => phase);
      must(phases.join() === "connecting,pending,connected", phases.join());
      const { id } = await startOn(world, stay("b"));
      must((await viewOf(world))?.runs === 1, "its run is not counted");
      must(
        (await refusalOf(world, "node.forget", { node: "mill" })) === "node_approved",
        "an approved node is forgotten",
      );
      const ms = await tookMs(world, ask<NodeView>(world, "node.revoke", { node: "mill" }));
      must(ms < 4000 && liveOn(world) === 0, `a revocation of ${ms} ms leaves ${liveOn(world)} processes`);
      await world.clock.sleep(40_000);
      const revoked = await viewOf(world);
      must(revoked?.state === "revoked" && !revoked.connected && !revoked.waiting, JSON.stringify(revoked));
      must((await refusalOf(world, "run.start", start)) === "node_unknown", "a revoked node is given a run");
      must((await waitFor(world, id)).endReason === "cancelled", "another reason");
      await killFront(world);
      must((await viewOf(world))?.state === "revoked", "the next front has forgotten a decision");
      await ask<NodeView>(world, "node.forget", { node: "mill" });
      must((await refusalOf(world, "run.wait", { id })) === "run_unknown", "a run of a forgotten node is known");
      await relive(world);
      await until(world, "it counts as new", (view) => view?.state === "pending" && view.waiting);
      await ask<NodeView>(world, "node.reject", { node: "mill" });
      await world.clock.sleep(40_000);
      const rejected = await viewOf(world);
      must(rejected?.state === "rejected" && !rejected.waiting, JSON.stringify(rejected));
      for (const node of ["nobody", world.node!.id.slice(0, 3)])
        must((await refusalOf(world, "node.describe", { node })) === "node_unknown", `${node} is a node`);
    },
  },
  "an invitation lets one node in, once and in time": {
    node: true,
    play: async (world) => {
      const late = await ask<{ invite: string; expiresAt: number }>(world, "node.invite", {
        validMs: 5000,
        name: "late",
      });
      must(late.expiresAt === world.clock.now() + 5000 || late.expiresAt > world.clock.now() + 4000, "another expiry");
      const { invite } = await ask<{ invite: string }>(world, "node.invite", { name: "guest" });
      must(
        (await refusalOf(world, "node.invite", { name: "a b" })) === "invalid_params",
        "an invitation for an odd name",
      );
      await world.clock.sleep(6000);
      for (const bad of [late.invite, "never-given"]) {
        await relive(world, (node) => (node.invite = bad));
        await world.clock.sleep(10_000);
        must((await viewOf(world))?.state !== "approved", "an invitation that is over lets a node in");
      }
      await killFront(world);
      await relive(world, (node) => (node.invite = invite));
      await until(world, "it is let in", (view) => view?.connected === true);
      const view = await viewOf(world);
      must(view?.name === "guest" && view.state === "approved", JSON.stringify(view));
      await relive(world);
      await until(world, "it returns with its invitation", (now) => now?.connected === true);
      must((await refusalOf(world, "node.invite", { name: "guest" })) === "node_name_taken", "a name is given twice");
      await ask<NodeView>(world, "node.revoke", { node: "guest" });
      await ask<NodeView>(world, "node.forget", { node: "guest" });
      must(
        world.site.events.filter(
          ({ event, fields }) => event === "node.approved" && "by" in fields && fields.by === "invitation",
        ).length === 1,
        "an approval by invitation is not told once",
      );
      // Otherwise it knows that it has used its invitation.
      await relive(world, ({ life }) => forgetGateway(life!.keeper.paths.front));
      await world.clock.sleep(20_000);
      must((await viewOf(world))?.state !== "approved", "an invitation is used twice");
    },
  },
  "a node has its own rules, and a person who may overrule them": {
    node: true,
    play: async (world) => {
      await approve(world);
      const answers: ("yes" | "no" | "late")[] = ["yes", "no", "late"];
      const questions: string[] = [];
      await relive(world, (node) => {
        node.config = { ...node.config, node: { allowCommands: [] } };
        node.askPerson = async (question) => {
          questions.push(question);
          await world.clock.sleep(500);
          return answers.shift() ?? "nobody";
        };
      });
      await until(world, "it is back", (view) => view?.connected === true);
      const params = { argv: ["/bin/sh", "-c", "0 a"], cwd: "/", host: "mill", env: { SECRET: "word" } };
      must((await refusalOf(world, "run.start", params)) === undefined, "a person's yes is none");
      must((await refusalOf(world, "run.start", params)) === "exec_refused", "a person's no is none");
      must((await refusalOf(world, "run.start", params)) === "exec_refused", "a person who is late said yes");
      must(questions.length === 3 && questions[0]?.includes("/bin/sh -c") === true, questions.join("\n"));
      must(
        questions[0]?.includes("SECRET") === true && !questions.join().includes("word"),
        "a question tells a secret",
      );
      const long = { ...params, argv: ["/bin/sh", "-c", "x".repeat(2000)] };
      must(
        (await refusalOf(world, "run.start", long)) === "exec_refused" && questions.length === 3,
        "a question of many screens",
      );
      answers.push("yes", "no", "yes");
      const asked = [0, 1, 2].map(() => refusalOf(world, "run.start", params));
      must(
        (await Promise.all(asked))
          .map((code) => code ?? "yes")
          .toSorted()
          .join() === "exec_refused,yes,yes",
        "questions that overlap",
      );
      const steering = { ...params, env: { LD_PRELOAD: "x" } };
      const count = questions.length;
      must(
        (await refusalOf(world, "run.start", steering)) === "exec_refused" && questions.length === count,
        "a person is asked about steering",
      );
    },
  },
  "a node of one run takes one, and ends with its code": {
    node: true,
    play: async (world) => {
      await approve(world);
      const node = await relive(world, (host) => (host.once = true));
      await until(world, "it is back", (view) => view?.connected === true && view.once);
      const life = node.life!;
      const { id } = await startOn(
        world,
        scriptOf("a", { ms: 2000 }, { out: "done\n" }, { err: "oops\n" }, { exit: 9 }),
        { streams: "apart" },
      );
      must(
        (await refusalOf(world, "run.start", { argv: ["/bin/sh", "-c", stay("b")], cwd: "/", host: "mill" })) ===
          "run_limit",
        "a second run",
      );
      const run = await waitFor(world, id);
      must(run.exitCode === 9, JSON.stringify(run));
      must(life.platform.own.isAlive, "it ends before its output is read");
      const read = async (stream: string) =>
        Buffer.from((await ask<{ bytes: string }>(world, "run.log", { id, stream })).bytes, "base64").toString();
      must((await read("stdout")) === "done\n" && (await read("stderr")) === "oops\n", "other output");
      await world.until("it has ended", () => !life.platform.own.isAlive, 5000);
      must((await life.over).exitCode === 9, `it ends with ${String((await life.over).exitCode)}`);
    },
  },
  "a node of one run waits no longer than it should": {
    node: true,
    play: async (world) => {
      const times = { connectMs: 8000, approvalMs: 12_000, invocationMs: 15_000, acknowledgeMs: 9000 };
      const live = async () => {
        const node = await relive(world, (host) => {
          host.once = true;
          host.config = { ...host.config, node: times };
        });
        const life = node.life!;
        const began = world.simulation.nowMs;
        const endsWithin = async (what: string, fromMs: number, toMs: number, since = began) => {
          await world.until(what, () => !life.platform.own.isAlive, toMs + 30_000);
          const ms = world.simulation.nowMs - since;
          must(ms >= fromMs - 500 && ms <= toMs + 1500, `${what} after ${ms} ms`);
          const { error } = await life.over;
          must(error?.code === "node_timeout", `${what}: ${String(error)}`);
        };
        return { endsWithin };
      };
      await (await live()).endsWithin("nobody approves", 12_000, 13_000);
      world.node?.link.cut("both");
      await (await live()).endsWithin("no gateway", 8000, 9000);
      world.node?.link.mend(false);
      await approve(world);
      const idle = await live();
      await idle.endsWithin("no run comes", 15_000, 16_500);
      const busy = await live();
      await until(world, "it is back", (view) => view?.connected === true);
      const { id } = await startOn(world, scriptOf("a", { ms: 20_000 }, { out: "x" }));
      await waitFor(world, id);
      const { nowMs } = world.simulation;
      await world.until("it has ended", () => liveOn(world) === 0, 30_000);
      void busy;
      const life = world.node!.life!;
      await world.until("unread output is waited for", () => !life.platform.own.isAlive, 30_000);
      const ms = world.simulation.nowMs - nowMs;
      must(ms > 8000 && ms < 11_000, `unread output is waited for ${ms} ms`);
      must((await life.over).exitCode === 0, "a run that is over has failed");
    },
  },
  "a node that is silent is told as silent, then as lost, then as back": {
    node: true,
    play: async (world) => {
      await approve(world);
      const run = await startOn(world, scriptOf("a", { line: true }, { line: true }, { stay: true }));
      const before = await viewOf(world);
      must(before?.silentSince === null && (before.roundTripMs ?? 0) > 0, JSON.stringify(before));
      for (const direction of ["both", "to the gateway", "to the node"] as const) {
        const cutAt = world.simulation.nowMs;
        const wallAt = world.clock.now();
        world.node?.link.cut(direction);
        await until(world, "it is silent", (view) => view?.silentSince !== null, 6000);
        const silent = await viewOf(world);
        must(silent?.connected === true && silent.runs === 1, JSON.stringify(silent));
        const silentAfterMs = Number(silent?.silentSince) - wallAt;
        must(silentAfterMs >= -2100 && silentAfterMs <= 5000, `${direction}: silent since ${silentAfterMs} ms`);
        const shown = await waitFor(world, run.id, 0);
        const since = silent?.silentSince ?? null;
        must(
          shown.state === "running" && since !== null && shown.silentSince === since && silent?.lastSeenAt === since,
          `${direction}: ${shown.state}, silent since ${String(shown.silentSince)}, its node since ${String(silent?.silentSince)}`,
        );
        await world.clock.sleep(433);
        must((await viewOf(world))?.silentSince === since, "the moment since which a node is silent moves");
        await until(world, "it is lost", (view) => view?.connected === false, 12_000);
        const lostAfterMs = world.simulation.nowMs - cutAt;
        must(lostAfterMs > 3500 && lostAfterMs < 9000, `${direction}: lost after ${lostAfterMs} ms`);
        const lost = await viewOf(world);
        must(lost?.address === null && lost.connectedAt === null && lost.roundTripMs === null, JSON.stringify(lost));
        must((await waitFor(world, run.id, 0)).state === "lost", "a run of a lost node is shown as live");
        const written = direction === "both" ? ask(world, "run.write", { id: run.id, data: "once\n" }) : undefined;
        world.node?.link.mend(direction !== "both");
        await until(world, "it is back", (view) => view?.connected === true && view.silentSince === null, 45_000);
        await written;
        must((await waitFor(world, run.id, 0)).state === "running", "a run is not back with its node");
      }
      await ask(world, "run.write", { id: run.id, data: "twice\n" });
      await world.clock.sleep(500);
      must(
        (await ask<{ text: string }>(world, "run.poll", { id: run.id })).text === "once\ntwice\n",
        "an input is doubled or lost",
      );
      const told = (event: string) => world.site.events.filter((each) => each.event === event).length;
      must(
        told("node.connected") === 4 && told("node.lost") === 3,
        `${told("node.connected")} times there, ${told("node.lost")} lost`,
      );
      const phases = world
        .node!.progress.map(({ phase }) => phase)
        .filter((phase) => phase === "connected" || phase === "lost");
      must(
        phases.filter((phase, index) => phase !== phases[index - 1]).join() ===
          "connected,lost,connected,lost,connected,lost,connected",
        phases.join(),
      );
    },
  },
};
