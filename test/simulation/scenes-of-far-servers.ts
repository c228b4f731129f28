/** Named scenes of MCP servers that run on a node: what their clients notice of that, and what not. */
import { ask, killFront, must } from "./acts.ts";
import { approve } from "./node-scenes.ts";
import { liveOn, until } from "./node-views.ts";
import type { PromiseScene } from "./promises.ts";
import { methodsOf, Talk, textOf } from "./talk.ts";

const far = { command: "/bin/sh", args: ["-c", "rich f"], host: "mill", cwd: "/" };
const config = { mcpServers: { far, near: { command: "rich-mcp", args: ["n"] }, pool: { ...far, share: "pool" } } };

export const farScenes: Record<string, PromiseScene> = {
  "a server on a node serves as one here": {
    config,
    node: true,
    play: async (world) => {
      await approve(world);
      for (const [path, prefix] of [
        ["/mcp/far", ""],
        ["/mcp", "far__"],
        ["/mcp/pool", ""],
      ] as const) {
        const talk = await Talk.begin(world, path);
        must((await talk.text(`${prefix}fine`, { n: 1 })) === 'f fine {"n":1}', "another answer");
        must(liveOn(world) > 0, "it does not run on its node");
        const asked = talk.call(`${prefix}ask`, { text: "what?" });
        await world.until("a question has come", () => asked.messages.length === 1, 5000);
        await talk.tell({ id: asked.messages[0]?.id, result: { action: "accept" } });
        must(textOf((await talk.answered(asked)).answer).includes("accept"), "an answer does not reach it");
        const told = await talk.answered(talk.call(`${prefix}progress`, {}, { _meta: { progressToken: "t" } }));
        must(told.before.map(({ params }) => params?.["progress"]).join() === "1,2,3", methodsOf(told.before));
        const long = "x".repeat(300_000);
        must((await talk.text(`${prefix}fine`, { long })).length > 300_000, "a long message is cut");
        const cancelled = talk.call(`${prefix}slow`, { text: "late", ms: 20_000 });
        await world.clock.sleep(100);
        await talk.tell({ method: "notifications/cancelled", params: { requestId: cancelled.id } });
        await world.until("the call is over", () => cancelled.isOver, 5000);
        const { answer } = await talk.answered(talk.call(`${prefix}die`));
        must(answer.error !== undefined, `a call of a server that died: ${textOf(answer)}`);
        await ask(world, "session.end", { id: talk.id }).catch(() => {});
        await world.until("nothing of it is left", () => liveOn(world) === 0, 20_000);
      }
    },
  },
  "a server on a node outlives a short loss of its link, and not a long one": {
    config: { ...config, nodes: { leaseMs: 40_000 } },
    node: true,
    play: async (world) => {
      await approve(world);
      const talk = await Talk.begin(world, "/mcp/far");
      const slow = talk.call("slow", { text: "kept", ms: 4000 });
      await world.clock.sleep(200);
      world.node?.link.cut("both");
      await world.clock.sleep(9000);
      world.node?.link.mend(false);
      await until(world, "it is back", (view) => view?.connected === true);
      const { answer } = await talk.answered(slow, 30_000);
      must(textOf(answer) === "kept", `a call over a short loss: ${textOf(answer)}`);
      must((await talk.text("fine", { n: 2 })) === 'f fine {"n":2}', "the session is lost");
      world.node?.link.cut("both");
      const lost = talk.call("slow", { text: "lost", ms: 1000 });
      await world.clock.sleep(70_000);
      must(lost.isOver, "a call waits for ever for a lost node");
      must(lost.messages[0]?.error !== undefined || lost.status !== 200, JSON.stringify(lost.messages));
      must(liveOn(world) === 0, "a server outlives its lease");
      world.node?.link.mend(false);
      await approve(world);
      const next = await Talk.begin(world, "/mcp/far");
      must((await next.text("fine")) === "f fine {}", "a node that is back does not serve");
    },
  },
  "a session with a server on a node ends with its front, and the next one begins anew": {
    config,
    node: true,
    play: async (world) => {
      await approve(world);
      const talk = await Talk.begin(world, "/mcp");
      must(
        (await talk.text("far__fine")) === "f fine {}" && (await talk.text("near__fine")) === "n fine {}",
        "another answer",
      );
      await killFront(world);
      await approve(world);
      must((await talk.text("near__fine")) === "n fine {}", "a server here is lost with a front");
      must((await talk.text("far__fine")) === "f fine {}", "a server on a node does not start again");
      await world.clock.sleep(6000);
      must(liveOn(world) <= 2, `${liveOn(world)} processes of one server`);
      const { runs } = await ask<{ runs: { endReason: string | null }[] }>(world, "node.describe", { node: "mill" });
      must(runs.length === 1, `${runs.length} runs of one server`);
      await ask(world, "session.end", { id: talk.id });
      must(liveOn(world) === 0, "a server outlives its session");
    },
  },
};
