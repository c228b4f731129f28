/** Named scenes of a session over several servers: its lists, what belongs to which server, and what outlives a server. */
import { ask, killFront, killOne, must } from "./acts.ts";
import type { PromiseScene } from "./promises.ts";
import { oddNames, sound } from "./rich-lists.ts";
import { heardBy, listOf, methodsOf, richConfig, Talk } from "./talk.ts";

const servers = ["a", "b", "shared"];
/** The name of each server for itself. */
const ownNames: Record<string, string> = { a: "a", b: "b", shared: "s" };
const oddPlaces = [
  "properties.a",
  "anyOf",
  "allOf",
  "additionalProperties",
  "properties",
  "minimum",
  "maxItems",
  "minProperties",
  "title",
  "uniqueItems",
  "multipleOf",
  "examples",
  "dependentRequired",
  "$ref",
  "$ref",
  "required",
  "items",
  "patternProperties.a",
  "pattern",
  "pattern",
];
const tools = "ask progress log later burst askLater change slow mute heard touch die withdraw odd fine"
  .split(" ")
  .concat(oddPlaces.map((_, index) => `odd-${index}`));

/** What is left of a schema once a client can read it. */
const mendedSchema = {
  type: "object",
  properties: { a: {}, b: {}, c: {}, d: {}, e: { not: {} } },
  items: [{}],
  $defs: { x: {}, y: { $ref: "#/$defs/x" }, z: {} },
  "x-own": 1,
};

export const listScenes: Record<string, PromiseScene> = {
  "the lists of all servers are one, of what clients can read": {
    config: richConfig,
    play: async (world) => {
      const talk = await Talk.begin(world, "/mcp");
      for (let front = 0; front < 2; front += 1) {
        const all = await listOf(talk, "tools/list", "tools");
        const isOdd = ({ name }: { name?: unknown }) =>
          /_[A-Za-z0-9_-]{6}$/.test(String(name)) && !/__odd-\d+$/.test(String(name));
        const odds = all.filter(
          (each) => isOdd(each) && !tools.some((tool) => String(each.name).endsWith(`__${tool}`)),
        );
        must(odds.length === 3 * oddNames.length, `${odds.map(({ name }) => name).join()} have odd names`);
        for (const [index, { name }] of odds.slice(0, oddNames.length).entries()) {
          must(/^a__[A-Za-z0-9_-]{1,61}$/.test(String(name)), `${String(name)} is exposed`);
          must((await talk.text(String(name))) === `a ${oddNames[index]} {}`, `${String(name)} leads elsewhere`);
        }
        const listed = all.filter((each) => !odds.includes(each));
        const names = servers.flatMap((server) => tools.map((tool) => `${server}__${tool}`));
        must(listed.map(({ name }) => name).join() === names.join(), listed.map(({ name }) => name).join());
        const odd = listed.find(({ name }) => name === "a__odd");
        must(
          JSON.stringify(odd?.["inputSchema"]) === JSON.stringify(mendedSchema),
          JSON.stringify(odd?.["inputSchema"]),
        );
        must(odd?.["annotations"] === undefined && odd?.["icons"] === undefined, JSON.stringify(odd));
        const fine = listed.find(({ name }) => name === "b__fine");
        must(JSON.stringify(fine?.["annotations"]) === '{"readOnlyHint":true,"title":"T"}', JSON.stringify(fine));
        must(JSON.stringify(fine?.["inputSchema"]) === JSON.stringify(sound), JSON.stringify(fine?.["inputSchema"]));
        must(JSON.stringify(fine?.["icons"]) === '[{"src":"s"}]', JSON.stringify(fine));
        const prompts = await listOf(talk, "prompts/list", "prompts");
        must(prompts.map(({ name }) => name).join() === "a__greet,b__greet,shared__greet", JSON.stringify(prompts));
        const resources = await listOf(talk, "resources/list", "resources");
        must(resources.map(({ uri }) => uri).join() === "mem://a/a,mem://b/a,mem://s/a", JSON.stringify(resources));
        must(
          resources.every((each) => each["size"] === undefined),
          JSON.stringify(resources),
        );
        const told = world.site.events.filter(({ event }) => event === "mcp.unlisted");
        // At most fifty lines tell of single places.
        must(told.length === 53, `${told.length} lines tell of what is left out`);
        const errors = told.map(({ fields }) => (fields as { error: string }).error);
        for (const [index, place] of oddPlaces.entries())
          must(
            errors.some((error) => error.startsWith(`tool "odd-${index}": inputSchema.${place} left out`)),
            `the ${place} of odd-${index} is not told: ${errors.find((error) => error.includes(`odd-${index}"`)) ?? ""}`,
          );
        const templates = await listOf(talk, "resources/templates/list", "resourceTemplates");
        const expected = "mem://a/{path},mem://b/{path},mem://s/{path}";
        must(templates.map(({ uriTemplate }) => uriTemplate).join() === expected, JSON.stringify(templates));
        await killFront(world);
      }
    },
  },
  "one server's lists are its own, unchanged": {
    config: richConfig,
    play: async (world) => {
      for (const path of ["/mcp/a", "/mcp/shared"]) {
        const talk = await Talk.begin(world, path);
        const listed = await listOf(talk, "tools/list", "tools");
        must(listed.length === tools.length + oddNames.length + 4, `${path} lists ${listed.length} tools`);
        must(listed.filter(({ name }) => name === "odd").length === 1, JSON.stringify(listed));
        must((await listOf(talk, "prompts/list", "prompts")).length === 2, "another list of prompts");
        must((await listOf(talk, "resources/list", "resources")).length === 2, "another list of resources");
      }
    },
  },
  "names and addresses lead to their server": {
    config: richConfig,
    play: async (world) => {
      const talk = await Talk.begin(world, "/mcp");
      for (const server of servers) {
        const own = ownNames[server]!;
        must((await talk.text(`${server}__fine`, { n: 1 })) === `${own} fine {"n":1}`, "a tool of another server");
        const prompt = (await talk.ask("prompts/get", { name: `${server}__greet` })).result;
        must(JSON.stringify(prompt).includes(`"${own} greet"`), JSON.stringify(prompt));
        for (const uri of [`mem://${own}/a`, `mem://${own}/deep/b`]) {
          const read = await talk.ask("resources/read", { uri });
          must(JSON.stringify(read.result).includes(`of ${own}`), `${uri}: ${JSON.stringify(read)}`);
        }
        const ref = { type: "ref/prompt", name: `${server}__greet` };
        const completed = await talk.ask("completion/complete", { ref, argument: { name: "who", value: "w" } });
        must(JSON.stringify(completed.result).includes(`"${own} greet"`), JSON.stringify(completed));
        for (const uri of [`mem://${own}/{path}`, `mem://${own}/a`]) {
          const about = { ref: { type: "ref/resource", uri }, argument: { name: "path", value: "x" } };
          const told = await talk.ask("completion/complete", about);
          must(JSON.stringify(told.result).includes(`"${own} ${uri}"`), JSON.stringify(told));
        }
      }
      const refused: [string, object, string][] = [
        ["tools/call", { name: "nobody__fine" }, "unknown name"],
        ["tools/call", { name: "fine" }, "unknown name"],
        ["tools/call", {}, "name is missing"],
        ["prompts/get", { name: "a__" }, ""],
        ["prompts/get", {}, "name is missing"],
        ["resources/read", {}, "uri is missing"],
        ["resources/read", { uri: "other://x" }, "no server knows"],
        ["resources/read", { uri: "mem://a/missing" }, "no mem://a/missing"],
        ["completion/complete", { ref: { type: "ref/prompt", name: "none" } }, "names nothing"],
        ["completion/complete", {}, "names nothing"],
        ["logging/setLevel", {}, "level is missing"],
        ["tasks/list", {}, "not offered"],
        ["initialize", {}, ""],
      ];
      for (const [method, params, words] of refused) {
        const { error, result } = await talk.ask(method, params);
        if (method === "prompts/get" && words === "") continue;
        must(
          error?.message.includes(words) === true,
          `${method} ${JSON.stringify(params)}: ${JSON.stringify(error ?? result)}`,
        );
      }
      must(JSON.stringify((await talk.ask("ping")).result) === "{}", "no answer to a ping");
    },
  },
  "changed lists are told, and told again to the next front": {
    config: richConfig,
    play: async (world) => {
      for (const [path, prefix] of [
        ["/mcp/a", ""],
        ["/mcp", "b__"],
        ["/mcp/shared", ""],
      ] as const) {
        const talk = await Talk.begin(world, path);
        await listOf(talk, "tools/list", "tools");
        const stream = talk.listen();
        await talk.answered(talk.call(`${prefix}change`, { text: "fresh" }));
        await world.clock.sleep(2000);
        const about = () =>
          stream.messages.filter(({ method }) => method === "notifications/tools/list_changed").length;
        const listed = async () =>
          (await listOf(talk, "tools/list", "tools")).filter(({ name }) => name === `${prefix}fresh`);
        must((await listed()).length === 1, "a new tool is not listed");
        must(
          methodsOf(stream.messages) === "notifications/tools/list_changed" || about() === 0,
          methodsOf(stream.messages),
        );
        must((await talk.text(`${prefix}fresh`)).endsWith("fresh {}"), "a new tool is not called");
        await killFront(world);
        must((await listed()).length === 1, "a new tool is not listed by the next front");
        await ask(world, "session.end", { id: talk.id });
      }
    },
  },
  "subscriptions last until they end, for each session": {
    config: richConfig,
    play: async (world) => {
      const [one, two, all] = [
        await Talk.begin(world, "/mcp/shared"),
        await Talk.begin(world, "/mcp/shared"),
        await Talk.begin(world, "/mcp"),
      ];
      const uri = "mem://s/a";
      const updates = async (expected: readonly number[], uriTouched = uri) => {
        const streams = [one, two, all].map((talk) => talk.listen());
        await world.clock.sleep(50);
        await one.text("touch", { text: uriTouched });
        await world.clock.sleep(200);
        const counts = streams.map(
          ({ messages }) => messages.filter(({ method }) => method === "notifications/resources/updated").length,
        );
        for (const stream of streams) stream.close();
        await world.clock.sleep(50);
        must(
          counts.join() === expected.join(),
          `updates of ${uriTouched} for ${counts.join()}, not ${expected.join()}`,
        );
      };
      await two.ask("resources/subscribe", { uri });
      await all.ask("resources/subscribe", { uri });
      must(
        (await one.ask("resources/subscribe", { uri: "mem://s/refused" })).error !== undefined,
        "a refused subscription",
      );
      const subscribed = async () => (await heardBy(one)).subscribed.join();
      must((await subscribed()) === uri, await subscribed());
      await updates([0, 1, 1]);
      await updates([0, 0, 0], "mem://s/refused");
      await two.ask("resources/unsubscribe", { uri });
      must((await subscribed()) === uri, "an unsubscription reaches a server that another session still needs");
      await updates([0, 0, 1]);
      await killFront(world);
      await updates([0, 0, 1]);
      await all.ask("resources/unsubscribe", { uri });
      must((await subscribed()) === "", "the last unsubscription does not reach the server");
      await updates([0, 0, 0]);
      await all.ask("resources/subscribe", { uri });
      await all.ask("resources/subscribe", { uri: "mem://a/a" });
      await ask(world, "session.end", { id: all.id });
      await world.clock.sleep(100);
      await updates([0, 0, 0]);
    },
  },
  "a subscription and its end are the next front's at once": {
    config: richConfig,
    play: async (world) => {
      for (const [path, prefix, uri] of [
        ["/mcp/shared", "", "mem://s/a"],
        ["/mcp", "a__", "mem://a/a"],
      ] as const) {
        const talk = await Talk.begin(world, path);
        await talk.ask("tools/list");
        const updates = async () => {
          const stream = talk.listen();
          await world.clock.sleep(50);
          const { before } = await talk.answered(talk.call(`${prefix}touch`, { text: uri }));
          await world.clock.sleep(100);
          stream.close();
          const all = [...stream.messages, ...before];
          return all.filter(({ method }) => method === "notifications/resources/updated").length;
        };
        await talk.ask("resources/subscribe", { uri });
        await killFront(world);
        must((await updates()) === 1, `${path}: the next front has lost a subscription`);
        await talk.ask("resources/unsubscribe", { uri });
        await killFront(world);
        must((await heardBy(talk, prefix)).subscribed.length === 0, "an ended subscription is back");
        await talk.ask("logging/setLevel", { level: "debug" });
        await killFront(world);
        if (prefix === "a__") {
          killOne(world, "rich-mcp a");
          await world.clock.sleep(1500);
          await talk.text("a__fine");
          await world.clock.sleep(200);
          must((await heardBy(talk, prefix)).level === "debug", "the next front has lost the level");
        }
        await ask(world, "session.end", { id: talk.id });
      }
    },
  },
};
