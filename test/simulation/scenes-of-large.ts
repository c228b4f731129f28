/** Named scenes of messages that are long, or many, on their way between client, front, keeper and server. */
import { killFront, must } from "./acts.ts";
import type { PromiseScene } from "./promises.ts";
import { richConfig, Talk, textOf } from "./talk.ts";

const long = (mark: string, length: number) =>
  `${mark} ${"0123456789abcdef".repeat(Math.ceil(length / 16))}`.slice(0, length);

/** A call that a server answers with what it was given. */
async function mustEcho(talk: Talk, prefix: string, text: string): Promise<void> {
  const { answer } = await talk.answered(talk.call(`${prefix}fine`, { text }), 60_000);
  const got = textOf(answer);
  must(got.endsWith(`fine ${JSON.stringify({ text })}`), `${got.length} characters come back of ${text.length}`);
}

export const largeScenes: Record<string, PromiseScene> = {
  "long messages are relayed whole, in both directions": {
    config: richConfig,
    play: async (world) => {
      for (const [path, prefix] of [
        ["/mcp/a", ""],
        ["/mcp", "shared__"],
      ] as const) {
        const talk = await Talk.begin(world, path);
        for (const length of [60_000, 70_000, 400_000, 1_500_000]) await mustEcho(talk, prefix, long("m", length));
        // Several at once share the way.
        await Promise.all([1, 2, 3, 4].map((each) => mustEcho(talk, prefix, long(`n${each}`, 300_000))));
        await mustEcho(talk, prefix, "short");
      }
    },
  },
  "half a message of a front that died reaches no server": {
    config: richConfig,
    play: async (world) => {
      const talk = await Talk.begin(world, "/mcp/a");
      for (let step = 0; step < 6; step += 1) {
        const lost = talk.call("fine", { text: long(`l${step}`, 900_000) });
        await world.clock.sleep(3 + step * 0.7);
        await killFront(world);
        await world.until("its connection is gone", () => lost.isOver, 10_000);
        await mustEcho(talk, "", long(`k${step}`, 200_000));
      }
      must(world.servants.filter(({ command }) => command === "rich-mcp a").length === 1, "its server has died");
    },
  },
  "messages above the limit are refused, and the session goes on": {
    config: { ...richConfig, limits: { messageBytesMax: 100_000 } },
    play: async (world) => {
      const talk = await Talk.begin(world, "/mcp/a");
      const refused = talk.call("fine", { text: long("x", 150_000) });
      await world.until("it is refused", () => refused.isOver, 10_000);
      must(refused.status !== 200, `a message above the limit: ${refused.status}`);
      await mustEcho(talk, "", long("y", 90_000));
    },
  },
};
