/** Named scenes of servers that come and go, fail, or are shared by clients that are alike. */
import { killFront, killOne, must } from "./acts.ts";
import type { Message } from "./event-stream.ts";
import type { PromiseScene } from "./promises.ts";
import { heardBy, listOf, methodsOf, richConfig, Talk, textOf } from "./talk.ts";

export const serverScenes: Record<string, PromiseScene> = {
  "a server that leaves the config leaves the session, and a new one joins it": {
    config: richConfig,
    play: async (world) => {
      const talk = await Talk.begin(world, "/mcp");
      await listOf(talk, "tools/list", "tools");
      const stream = talk.listen();
      await talk.ask("resources/subscribe", { uri: "mem://b/a" });
      const { site } = world;
      const { b: _, ...rest } = richConfig.mcpServers;
      site.config = { ...site.config, mcpServers: { ...rest, c: { command: "rich-mcp", args: ["c"] } } };
      const slow = talk.call("b__slow", { text: "x", ms: 20_000 });
      await world.clock.sleep(50);
      site.life?.keeper.reload();
      await world.clock.sleep(9000);
      must(
        slow.isOver && slow.messages[0]?.error !== undefined,
        `a call of a server that left: ${JSON.stringify(slow.messages)}`,
      );
      const told = stream.messages.filter(({ method }) => method === "notifications/tools/list_changed");
      must(told.length >= 1, `changed lists: ${methodsOf(stream.messages)}`);
      const names = (await listOf(talk, "tools/list", "tools")).map(({ name }) => String(name).split("__")[0]);
      must([...new Set(names)].join() === "a,shared,c", [...new Set(names)].join());
      must((await talk.ask("tools/call", { name: "b__fine" })).error !== undefined, "a server that left answers");
      must((await talk.text("c__fine")) === "c fine {}", "a new server does not answer");
      must(
        world.servants.every(({ command }) => command !== "rich-mcp b"),
        "a server that left lives on",
      );
      await killFront(world);
      must((await talk.text("c__fine")) === "c fine {}", "the next front has lost a new server");
    },
  },
  "a required server that cannot start is told, and the others are used": {
    config: { mcpServers: { ...richConfig.mcpServers, bad: { command: "no-such-program" } }, limits: { listMs: 2000 } },
    play: async (world) => {
      const talk = await Talk.begin(world, "/mcp");
      const names = (await listOf(talk, "tools/list", "tools")).map(({ name }) => String(name).split("__")[0]);
      must([...new Set(names)].join() === "a,b,shared", [...new Set(names)].join());
      const { error } = await talk.ask("tools/call", { name: "bad__fine" });
      must(error !== undefined, "a server that cannot start answers");
      must((await talk.text("a__fine")) === "a fine {}", "another server does not answer");
    },
  },
  "a client with roots shares a server only with its like": {
    config: richConfig,
    play: async (world) => {
      const begin = async (roots: unknown) => {
        const capabilities = { roots: { listChanged: true } };
        const params = { protocolVersion: "2025-06-18", capabilities, clientInfo: { name: "c", version: "1" } };
        const body = { jsonrpc: "2.0", id: 1, method: "initialize", params };
        const { answer } = world.client().send("POST", "/mcp", body);
        let isDone = false;
        void answer.then(() => (isDone = true));
        await world.until("a session is open", () => isDone, 20_000);
        const talk = new Talk(world, "/mcp", String((await answer).headers["mcp-session-id"]));
        const stream = talk.listen();
        const asked = talk.call("shared__fine");
        const all = () => [...stream.messages, ...asked.messages];
        const isQuestion = ({ method }: Message) => method === "roots/list";
        await world.until("its roots are asked for", () => all().some(isQuestion), 4000);
        if (roots !== undefined) await talk.tell({ id: all().find(isQuestion)?.id, result: { roots } });
        const { answer: told } = await talk.answered(asked, 10_000);
        must(textOf(told) === "s fine {}", textOf(told));
        must(all().filter(isQuestion).length === 1, "the roots are asked for more than once");
        return { talk, stream };
      };
      const servers_ = () => world.servants.filter(({ command }) => command === "rich-mcp s").length;
      await begin([{ uri: "file:///one" }]);
      const { talk: second, stream: heard } = await begin([{ uri: "file:///one" }]);
      must(servers_() === 1, `${servers_()} servers for the same roots`);
      await begin([{ uri: "file:///two" }]);
      must(servers_() === 2, `${servers_()} servers for two sets of roots`);
      await second.tell({ method: "notifications/roots/list_changed" });
      const before = heard.messages.filter(({ method }) => method === "roots/list").length;
      const again = second.call("shared__fine");
      const questions = () => [...heard.messages, ...again.messages].filter(({ method }) => method === "roots/list");
      await world.until("changed roots are asked for", () => questions().length > before, 4000);
      await second.tell({ id: questions().at(-1)?.id, result: { roots: [{ uri: "file:///two" }] } });
      must(textOf((await second.answered(again)).answer) === "s fine {}", "another answer");
      must(servers_() === 2, `${servers_()} servers once one client has other roots`);
      const { nowMs } = world.simulation;
      await begin(undefined);
      must(world.simulation.nowMs - nowMs >= 5000, "a client that does not answer is not waited for");
      must(servers_() === 3, `${servers_()} servers, one for unknown roots`);
      // A call whose answer the keeper has not heard of counts as abandoned, and its server is replaced.
      await world.clock.sleep(100);
      await killFront(world);
      must((await second.text("shared__fine")) === "s fine {}", "another answer");
      must(servers_() === 3, `${servers_()} servers after a new front`);
    },
  },
  "a new process of a server learns what the session had set": {
    config: richConfig,
    play: async (world) => {
      const talk = await Talk.begin(world, "/mcp");
      await talk.ask("tools/list");
      must((await talk.ask("logging/setLevel", { level: "debug" })).result !== undefined, "a level is refused");
      await talk.ask("resources/subscribe", { uri: "mem://a/a" });
      await talk.ask("resources/subscribe", { uri: "mem://a/gone" });
      await talk.ask("resources/unsubscribe", { uri: "mem://a/gone" });
      await world.clock.sleep(100);
      const look = async (what: string) => {
        const { level, subscribed } = await heardBy(talk, "a__");
        must(level === "debug", `${what}: its level is ${level}`);
        must(subscribed.join() === "mem://a/a", `${what}: subscribed to ${subscribed.join()}`);
        must((await heardBy(talk, "shared__")).level === "none", "one session sets the level of a shared server");
      };
      await look("the first");
      await killFront(world);
      await look("with another front");
      killOne(world, "rich-mcp a");
      await world.clock.sleep(1500);
      await talk.text("a__fine");
      await world.clock.sleep(200);
      await look("the second");
    },
  },
};
