/** Named scenes of servers that speak by themselves: questions, progress, logs, changed lists, and who hears them. */
import { ask, killFront, must, type Status } from "./acts.ts";
import type { Streamed } from "./event-stream.ts";
import type { PromiseScene } from "./promises.ts";
import { heardBy, methodsOf, richConfig, Talk, textOf } from "./talk.ts";
import type { World } from "./world.ts";

/** Sessions of each kind, and what stands before a server's names in them. */
const kinds = [
  ["/mcp/a", ""],
  ["/mcp", "a__"],
  ["/mcp/shared", ""],
  ["/mcp", "shared__"],
] as const;

async function waitFor(world: World, what: string, stream: Streamed, count: number): Promise<void> {
  await world.until(what, () => stream.messages.length >= count, 5000);
}

export const streamScenes: Record<string, PromiseScene> = {
  "a question of a server goes to the client of its call, and the answer back": {
    config: richConfig,
    play: async (world) => {
      for (const [path, prefix] of kinds) {
        const talk = await Talk.begin(world, path);
        for (const reply of [{ result: { action: "accept" } }, { error: { code: -1, message: "no" } }]) {
          const asked = talk.call(`${prefix}ask`, { text: "what?" });
          await waitFor(world, "the question has come", asked, 1);
          const [question] = asked.messages;
          must(
            question?.method === "elicitation/create" && question.params?.["message"] === "what?",
            "another question",
          );
          must((await talk.tell({ id: question?.id, ...reply })) === 202, "an answer is not taken");
          const { answer, before } = await talk.answered(asked);
          must(before.length === 1 && textOf(answer) === JSON.stringify(reply), textOf(answer));
          must((await talk.tell({ id: question?.id, ...reply })) === 202, "a second answer is not taken");
        }
        const { heard, settled } = await heardBy(talk, prefix);
        must(settled.join() === "q1 result,q2 error", settled.join());
        await ask(world, "session.end", { id: talk.id });
        must(
          !heard.some((each) => each.startsWith("answer")),
          `a second answer has reached the server: ${heard.join()}`,
        );
      }
    },
  },
  "a question that its server withdraws is withdrawn from the client": {
    config: richConfig,
    play: async (world) => {
      for (const [path, prefix] of kinds) {
        const talk = await Talk.begin(world, path);
        // Of a shared server it may be for another call by then.
        const stream = path === "/mcp/shared" || prefix === "shared__" ? talk.listen() : undefined;
        const asked = talk.call(`${prefix}withdraw`, { text: "what?" });
        const { before, answer } = await talk.answered(asked);
        const [question, withdrawn] = [...before, ...(stream?.messages ?? [])];
        must(question?.method === "elicitation/create", methodsOf(before));
        must(withdrawn?.method === "notifications/cancelled", `${path}: ${methodsOf(before)}`);
        must(withdrawn?.params?.["requestId"] === question?.id, JSON.stringify(before));
        await ask(world, "session.end", { id: talk.id });
        must(textOf(answer) === "withdrawn", textOf(answer));
      }
    },
  },
  "progress reaches its call, under the client's token and in order": {
    config: richConfig,
    play: async (world) => {
      for (const [path, prefix] of kinds) {
        const talk = await Talk.begin(world, path);
        for (const progressToken of ["my token", 7]) {
          const asked = talk.call(`${prefix}progress`, {}, { _meta: { progressToken } });
          const { before, answer } = await talk.answered(asked);
          const told = before.map(
            ({ params }) => `${JSON.stringify(params?.["progressToken"])} ${String(params?.["progress"])}`,
          );
          const token = JSON.stringify(progressToken);
          must(told.join() === [1, 2, 3].map((step) => `${token} ${step}`).join(), told.join());
          must(textOf(answer) === "progressed", textOf(answer));
        }
      }
    },
  },
  "what a server says without a call waits for the client's stream, in order and within a bound": {
    config: richConfig,
    play: async (world) => {
      for (const [path, prefix] of kinds.slice(0, 2)) {
        const talk = await Talk.begin(world, path);
        for (let count = 0; count < 3; count += 1) {
          must((await talk.text(`${prefix}later`, { text: `n${count}` })) === "later", "another answer");
          await world.clock.sleep(400);
        }
        const stream = talk.listen();
        await waitFor(world, "what waited has come", stream, 3);
        const said = () => stream.messages.map(({ params }) => params?.["data"]).join();
        must(said() === "n0,n1,n2", said());
        await talk.text(`${prefix}later`, { text: "n3" });
        await world.clock.sleep(400);
        must(said() === "n0,n1,n2,n3", said());
        const second = talk.listen();
        await world.until("a second stream replaces the first", () => stream.isOver, 5000);
        await talk.text(`${prefix}later`, { text: "n4" });
        await world.clock.sleep(400);
        must(second.messages.length === 1 && stream.messages.length === 4, "a message is lost, or told twice");
        second.close();
        await world.clock.sleep(100);
        await talk.text(`${prefix}burst`, { count: 300 });
        await world.clock.sleep(1000);
        const third = talk.listen();
        await world.clock.sleep(1000);
        const waited = third.messages.map(({ params }) => params?.["data"]);
        must(waited.join() === Array.from({ length: 256 }, (_, index) => `m${index + 44}`).join(), waited.join());
        third.close();
      }
    },
  },
  "a cancelled call is cancelled at its server, once": {
    config: richConfig,
    play: async (world) => {
      for (const [path, prefix] of kinds) {
        const talk = await Talk.begin(world, path);
        const asked = talk.call(`${prefix}slow`, { text: "late", ms: 3000 });
        await world.clock.sleep(100);
        const params = { requestId: asked.id, reason: "changed my mind" };
        must((await talk.tell({ method: "notifications/cancelled", params })) === 202, "a cancellation is not taken");
        must((await talk.tell({ method: "notifications/cancelled", params })) === 202, "a second one is not taken");
        await world.clock.sleep(200);
        must(asked.isOver && asked.messages.length === 0, `a cancelled call: ${JSON.stringify(asked.messages)}`);
        const cancelled = (await heardBy(talk, prefix)).heard.filter((each) =>
          each.startsWith("notifications/cancelled"),
        );
        must(cancelled.length === 1 && cancelled[0]?.includes("changed my mind") === true, cancelled.join());
        await world.clock.sleep(4000);
        must(
          (await talk.text(`${prefix}fine`, { x: 1 })).includes('fine {"x":1}'),
          "a server is lost with a cancelled call",
        );
        await ask(world, "session.end", { id: talk.id });
      }
    },
  },
  "a client that hangs up cancels its call": {
    config: richConfig,
    play: async (world) => {
      for (const [path, prefix] of kinds) {
        const talk = await Talk.begin(world, path);
        const asked = talk.call(`${prefix}slow`, { text: "late", ms: 60_000 });
        await world.clock.sleep(100);
        asked.close();
        await world.clock.sleep(500);
        const cancelled = (await heardBy(talk, prefix)).heard.filter((each) =>
          each.startsWith("notifications/cancelled"),
        );
        must(cancelled.length === 1, `${path}: ${cancelled.join()}`);
        await ask(world, "session.end", { id: talk.id });
      }
    },
  },
  "calls of several sessions on one shared server do not mix": {
    config: richConfig,
    play: async (world) => {
      const talks = [
        await Talk.begin(world, "/mcp/shared"),
        await Talk.begin(world, "/mcp/shared"),
        await Talk.begin(world, "/mcp"),
      ];
      const prefixes = ["", "", "shared__"];
      const streams = talks.map((talk) => talk.listen());
      const asked = talks.map((talk, index) => talk.call(`${prefixes[index]}slow`, { text: `of ${index}`, ms: 2000 }));
      await world.clock.sleep(100);
      const unclear = talks[0]!.call("ask", { text: "whose?" });
      const { answer, before } = await talks[0]!.answered(unclear);
      must(before.length === 0 && textOf(answer).includes('"error"'), `an unclear question: ${textOf(answer)}`);
      await talks[1]!.text("later", { text: "to nobody" });
      for (const [index, talk] of talks.entries())
        must(textOf((await talk.answered(asked[index]!)).answer) === `of ${index}`, "the answer of another call");
      must(
        streams.every(({ messages }) => messages.length === 0),
        "a message of a shared server reaches somebody",
      );
      const servers = () => world.servants.filter(({ command }) => command === "rich-mcp s").length;
      must(servers() === 1, `${servers()} processes of a shared server`);
      await ask(world, "session.end", { id: talks[0]!.id });
      must((await talks[1]!.text("fine")) === "s fine {}", "a shared server ends with one of its sessions");
      await ask(world, "session.end", { id: talks[1]!.id });
      await ask(world, "session.end", { id: talks[2]!.id });
      await world.until("it ends with the last", () => servers() === 0, 10_000);
    },
  },
  "a call in flight when the front dies is over, and the session goes on": {
    config: richConfig,
    play: async (world) => {
      for (const [path, prefix] of kinds) {
        const talk = await Talk.begin(world, path);
        const stream = talk.listen();
        const asked = talk.call(`${prefix}slow`, { text: "lost", ms: 3000 });
        const question = talk.call(`${prefix}ask`, { text: "what?" });
        await world.clock.sleep(200);
        await killFront(world);
        await world.until("its connection is gone", () => asked.isOver && stream.isOver && question.isOver, 5000);
        must(asked.messages.length === 0, JSON.stringify(asked.messages));
        const again = talk.listen();
        must((await talk.text(`${prefix}fine`, { n: 1 })).endsWith('fine {"n":1}'), "the session is lost");
        await world.clock.sleep(4000);
        const { settled } = await heardBy(talk, prefix);
        must(settled.join() === "q1 error", `a question of a front that died is settled by ${settled.join()}`);
        must(
          again.messages.every(({ method }) => method !== undefined),
          "a late answer reaches the client",
        );
        again.close();
        must((await ask<Status>(world, "gateway.status")).sessions === 1, "no session is left");
        await ask(world, "session.end", { id: talk.id });
      }
    },
  },
  "a server that dies ends its calls, and only a session of its own": {
    config: richConfig,
    play: async (world) => {
      for (const [path, prefix] of kinds) {
        const talk = await Talk.begin(world, path);
        const other = talk.call(`${prefix}mute`);
        await world.clock.sleep(50);
        const { answer } = await talk.answered(talk.call(`${prefix}die`));
        must(answer.error !== undefined, `a call of a server that died: ${textOf(answer)}`);
        must((await talk.answered(other)).answer.error !== undefined, "another call of it has a result");
        await world.clock.sleep(500);
        const next = talk.call(`${prefix}fine`);
        await world.until("an answer has come", () => next.isOver, 10_000);
        if (path === "/mcp/a") must(next.status === 404, `a session without its server: ${next.status}`);
        else must(textOf(next.messages[0]!).endsWith("fine {}"), `no new server: ${JSON.stringify(next.messages)}`);
      }
    },
  },
  "a question that nobody hears waits for the client's stream, for a while": {
    config: richConfig,
    play: async (world) => {
      for (const [path, prefix] of kinds.slice(0, 2)) {
        const talk = await Talk.begin(world, path);
        await talk.text(`${prefix}askLater`);
        await talk.text(`${prefix}askLater`, { isWithdrawn: true });
        await world.clock.sleep(20_000);
        must((await heardBy(talk, prefix)).settled.length === 0, "a question is given up early");
        await world.clock.sleep(28_000);
        must((await heardBy(talk, prefix)).settled.join() === "q1 error", (await heardBy(talk, prefix)).settled.join());
        await talk.text(`${prefix}askLater`);
        await world.clock.sleep(1000);
        const stream = talk.listen();
        await world.clock.sleep(200);
        must(methodsOf(stream.messages) === "elicitation/create", methodsOf(stream.messages));
        await talk.tell({ id: stream.messages[0]?.id, result: {} });
        await world.clock.sleep(40_000);
        must((await heardBy(talk, prefix)).settled.join() === "q1 error,q3 result", "an answered question is given up");
        await ask(world, "session.end", { id: talk.id });
      }
    },
  },
};
