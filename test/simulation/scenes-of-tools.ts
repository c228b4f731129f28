/** Named scenes of Holdfast's own tools on `/mcp`: commands of an agent, which end with its session. */
import { ask, killFront, livesOf, must, type RunView } from "./acts.ts";
import { approve } from "./node-scenes.ts";
import type { PromiseScene } from "./promises.ts";
import { richConfig, Talk, textOf } from "./talk.ts";
import { scriptOf } from "./scripted.ts";
import type { World } from "./world.ts";

const config = { ...richConfig, tools: { exec: "run", nodes: "run", sessions: "read", status: "read" } };

interface Details {
  readonly status: string;
  readonly sessionId: string;
  readonly exitCode: number | null;
  readonly endReason: string | null;
  readonly output?: string;
  readonly tail?: string;
  readonly stdout?: string;
  readonly stderr?: string;
  readonly sessions?: readonly { readonly sessionId: string; readonly isYours?: boolean }[];
  readonly totalLines?: number;
  readonly offset?: number;
  readonly code?: string;
}

async function use(
  talk: Talk,
  name: string,
  given: object,
): Promise<{ text: string; details: Details; isError: boolean }> {
  const answer = await talk.ask("tools/call", { name, arguments: given });
  const { structuredContent, isError } = (answer.result ?? {}) as { structuredContent?: Details; isError?: boolean };
  return { text: textOf(answer), details: structuredContent ?? ({} as Details), isError: isError === true };
}

const runOf = async (world: World, id: string) => ask<RunView>(world, "run.wait", { id, waitMs: 10_000 });

export const toolScenes: Record<string, PromiseScene> = {
  "an agent's commands are answered, followed and ended with its session": {
    config,
    play: async (world) => {
      const [talk, other] = [await Talk.begin(world, "/mcp"), await Talk.begin(world, "/mcp")];
      const names = ((await talk.ask("tools/list")).result!["tools"] as { name: string }[]).map(({ name }) => name);
      must(names.slice(0, 5).toSorted().join() === "exec,nodes,process,sessions,status", names.slice(0, 6).join());
      must(names.length > 40 && names.includes("a__fine"), "the servers' tools are missing");
      const done = await use(talk, "exec", {
        command: scriptOf("a", { out: "\u001b[1mdone\n" }, { exit: 0 }),
        workdir: "/",
      });
      must(
        done.text === "done" && done.details.status === "completed" && done.details.exitCode === 0,
        JSON.stringify(done),
      );
      const bad = await use(talk, "exec", { command: scriptOf("b", { exit: 3 }), workdir: "/", background: false });
      must(bad.isError && bad.details.status === "failed" && bad.details.exitCode === 3, JSON.stringify(bad));
      const odd = await use(talk, "exec", { command: 1 });
      must(odd.isError, JSON.stringify(odd));
      const line = scriptOf("c", { out: "begun\n" }, { line: true }, { line: true }, { stay: true });
      const begun = await use(talk, "exec", { command: line, workdir: "/", yieldMs: 500 });
      must(begun.details.status === "running" && begun.details.tail === "begun", JSON.stringify(begun));
      const { sessionId } = begun.details;
      const act = (action: string, more: object = {}) => use(talk, "process", { action, sessionId, ...more });
      must((await act("poll")).details.output === "begun", "another poll");
      await act("write", { data: "one\n" });
      await act("submit", { text: "two" });
      await world.clock.sleep(50);
      const news = await act("poll", { timeout: 100 });
      must(news.details.output === "one\ntwo", JSON.stringify(news));
      must((await act("poll")).text.startsWith("(no new output)"), "output is told twice");
      const log = await act("log", { limit: 2 });
      must(log.text === "one\ntwo" && log.details.totalLines === 3 && log.details.offset === 1, JSON.stringify(log));
      const listed = (await act("list")).details.sessions?.map((each) => each.sessionId);
      must(listed?.includes(sessionId) === true, JSON.stringify(listed));
      must(
        (await use(other, "process", { action: "list" })).details.sessions?.length === 0,
        "an agent sees another's runs",
      );
      must(
        (await use(other, "process", { action: "poll", sessionId })).details.code === "run_unknown",
        "an agent polls another's run",
      );
      await killFront(world);
      must(
        (await act("list")).details.sessions?.map((each) => each.sessionId).includes(sessionId) === true,
        "a new front has lost its runs",
      );
      must(livesOf(world, sessionId) > 0, "a new front ends an agent's run");
      must((await act("kill")).details.status === "failed", "another kill");
      must(livesOf(world, sessionId) === 0, "a killed run lives");
      await act("clear");
      must((await act("poll")).details.code === "run_unknown", "a cleared run is known");
      const left = await use(talk, "exec", { command: scriptOf("d", { stay: true }), workdir: "/", background: true });
      const foreign = await use(other, "exec", {
        command: scriptOf("e", { stay: true }),
        workdir: "/",
        background: true,
      });
      await ask(world, "session.end", { id: talk.id });
      must(livesOf(world, left.details.sessionId) === 0, "a command outlives its agent's session");
      must(livesOf(world, foreign.details.sessionId) > 0, "another agent's command ends");
      must((await runOf(world, left.details.sessionId)).endReason === "session-ended", "another reason");
      const seen = (await use(other, "sessions", {})).details.sessions;
      must(seen?.length === 1 && seen[0]?.isYours === true, JSON.stringify(seen));
      must((await use(other, "status", {})).text.includes('"runs"'), "another status");
    },
  },
  "a cancelled call of an agent ends its command": {
    config,
    node: true,
    play: async (world) => {
      await approve(world);
      const talk = await Talk.begin(world, "/mcp");
      const calls: [name: string, given: object][] = [
        ["exec", { command: scriptOf("a", { stay: true }), workdir: "/" }],
        ["nodes", { action: "run", node: "mill", command: scriptOf("b", { stay: true }), workdir: "/" }],
      ];
      const live = () =>
        world.hosts.flatMap((host) => host.servants).filter(({ command }) => command.startsWith("/bin/sh -c scripted"))
          .length;
      for (const [name, given] of calls) {
        const asked = talk.call(name, given);
        await world.until("it runs", () => live() > 0, 5000);
        await talk.tell({ method: "notifications/cancelled", params: { requestId: asked.id } });
        await world.until("it has ended", () => live() === 0, 6000);
        must(asked.messages.length === 0, JSON.stringify(asked.messages));
        const gone = talk.call(name, given);
        await world.until("it runs", () => live() > 0, 5000);
        gone.close();
        await world.until("it has ended with its connection", () => live() === 0, 6000);
      }
      const told = await use(talk, "nodes", {
        action: "run",
        node: "mill",
        command: scriptOf("c", { line: true }, { err: "oops" }, { exit: 2 }),
        workdir: "/",
        stdin: "given\n",
      });
      must(told.isError && told.details.exitCode === 2, JSON.stringify(told));
      must(told.details.stdout === "given" && told.details.stderr === "oops", JSON.stringify(told));
      must((await use(talk, "nodes", { action: "status" })).text.startsWith("mill: connected"), "another status");
      must(
        (await use(talk, "nodes", { action: "describe", node: "none" })).details.code === "node_unknown",
        "a node that is none",
      );
    },
  },
};
