/** Named scenes of tokens and what belongs to them, and of what the gateway says of itself. */
import { existsSync, readFileSync } from "node:fs";
import { addToken } from "../../src/keeper/tokens/token-files.ts";
import {
  ask,
  begin,
  call,
  endOf,
  killFront,
  lifeOf,
  livesOf,
  must,
  mustAnswer,
  open,
  refusalOf,
  settleBoundMs,
  type RunView,
  type Status,
} from "./acts.ts";
import type { PromiseScene } from "./promises.ts";
import type { World } from "./world.ts";

const hourMs = 3_600_000;
const daemon = (mark: string, more: object = {}) => ({ argv: ["/bin/sh", "-c", `daemon ${mark}`], cwd: "/", ...more });

/** Tokens that the next keeper knows, which serves once this resolves. */
async function makeTokens(world: World, ...lifetimesMs: number[]): Promise<string[]> {
  const life = lifeOf(world);
  const sources = { clock: world.clock, random: world.simulation.random };
  const tokens = lifetimesMs.map((lifetimeMs, index) => {
    const expiresAt = world.clock.now() + lifetimeMs;
    return addToken(life.keeper.paths, { name: `token-${index}`, scopes: ["run", "read"], expiresAt }, sources).token;
  });
  void life.keeper.close("shutdown", undefined, { again: true });
  await endOf(world, life, 30_000);
  await world.until("the next one serves", () => world.isServing && lifeOf(world) !== life, settleBoundMs);
  return tokens;
}

export const ownerScenes: Record<string, PromiseScene> = {
  "runs and sessions belong to their token, for the next front too": {
    play: async (world) => {
      const [mine = "", other = ""] = await makeTokens(world, hourMs, hourMs);
      const session = await open(world, "/mcp/echo", mine);
      const run = await ask<RunView>(world, "run.start", daemon("a"), mine);
      const tied = await ask<RunView>(world, "run.start", daemon("b", { sessionId: session }), mine);
      const look = async () => {
        for (const { id } of [run, tied]) {
          must((await refusalOf(world, "run.wait", { id }, other)) === "run_unknown", "another token sees a run");
          must((await refusalOf(world, "run.kill", { id }, other)) === "run_unknown", "another token ends a run");
          must((await refusalOf(world, "run.wait", { id }, mine)) === undefined, "a token does not know its run");
        }
        must((await call(world, "/mcp/echo", session, "echo", other)).status === 404, "another token uses a session");
        must((await call(world, "/mcp/echo", session, "echo", mine)).status === 200, "a token has lost its session");
        const code = await refusalOf(world, "session.end", { id: session }, other);
        must(code === "session_unknown", "another token ends a session");
        const join = await refusalOf(world, "run.start", daemon("c", { sessionId: session }), other);
        must(join === "session_unknown", "another token starts runs in a session");
        const listed = await ask<{ id: string }[]>(world, "session.list", {}, other);
        must(listed.length === 1 && listed[0]?.id !== session, "another token is told a session's id");
        must((await ask<{ id: string }[]>(world, "session.list", {}, mine))[0]?.id === session, "an owner is not");
      };
      await look();
      await killFront(world);
      await look();
      await ask(world, "session.end", { id: session }, mine);
      must(livesOf(world, tied.id) === 0 && livesOf(world, run.id) > 0, "a session ends with what is its own only");
      await ask(world, "run.kill", { id: run.id }, mine);
      await ask(world, "run.remove", { id: run.id }, mine);
      must((await refusalOf(world, "run.wait", { id: run.id }, mine)) === "run_unknown", "a removed run is known");
    },
  },
  "scope keys outside sessions are their token's own": {
    play: async (world) => {
      const [mine = "", other = ""] = await makeTokens(world, hourMs, hourMs);
      const scope = { scopeKey: "build", replaceExistingScope: true };
      const first = await ask<RunView>(world, "run.start", daemon("a", scope), mine);
      const foreign = await ask<RunView>(world, "run.start", daemon("b", scope), other);
      await world.clock.sleep(200);
      must(livesOf(world, first.id) > 0, "another token's start has replaced a run");
      const [second, third] = await Promise.all(
        ["c", "d"].map((mark) => world.client(mine).rpc("run.start", daemon(mark, scope))),
      );
      must(second?.["result"] !== undefined || third?.["result"] !== undefined, "both starts are refused");
      await world.clock.sleep(500);
      const live = (await ask<RunView[]>(world, "run.list")).filter(({ state }) => state === "running");
      must(live.length === 2 && livesOf(world, foreign.id) > 0, `${live.length} runs of two tokens`);
      must(livesOf(world, first.id) === 0, "a replaced run lives");
      await killFront(world);
      await ask(world, "run.start", daemon("e", scope), mine);
      await world.clock.sleep(500);
      const later = (await ask<RunView[]>(world, "run.list")).filter(({ state }) => state === "running");
      must(later.length === 2, `${later.length} runs of two tokens after a new front`);
    },
  },
  "a token that is over ends its sessions": {
    play: async (world) => {
      const [short = "", long = ""] = await makeTokens(world, 30_000, hourMs);
      await open(world, "/mcp/echo", short);
      const kept = await open(world, "/mcp/echo", long);
      await world.clock.sleep(40_000);
      must((await ask<Status>(world, "gateway.status")).sessions === 1, "a session outlives its token");
      must((await call(world, "/mcp/echo", kept, "echo", long)).status === 200, "another token's session has ended");
    },
  },
  "a run reads what is written to it": {
    play: async (world) => {
      const { id } = await begin(world, "repeat a");
      await ask(world, "run.write", { id, data: "one\n" });
      await ask(world, "run.submit", { id, text: "two" });
      await world.clock.sleep(50);
      const piece = await ask<{ text: string; nextOffset: number }>(world, "run.poll", { id, waitMs: 500 });
      must(piece.text === "one\ntwo\n", `it has read ${JSON.stringify(piece.text)}`);
      const late = ask(world, "run.poll", { id, offset: piece.nextOffset, waitMs: 5000 }).catch(() => {});
      await world.clock.sleep(100);
      await killFront(world);
      await late;
      await ask(world, "run.write", { id, data: "three\n", end: true });
      const done = await ask<RunView>(world, "run.wait", { id, waitMs: 10_000 });
      must(done.state === "exited" && done.exitCode === 0, JSON.stringify(done));
      const rest = await ask<{ text: string }>(world, "run.poll", { id, offset: piece.nextOffset });
      must(rest.text === "three\n", `then it has read ${JSON.stringify(rest.text)}`);
      const code = await refusalOf(world, "run.write", { id, data: "four" });
      must(code === "run_ended", `a write to an ended run: ${code ?? "accepted"}`);
    },
  },
  "the record of the gateway names what lives, and goes with it": {
    play: async (world) => {
      const file = lifeOf(world).keeper.paths.keeperRecord;
      const look = async () => {
        const { front, guardian } = await ask<Status>(world, "gateway.status");
        const record = JSON.parse(readFileSync(file, "utf8")) as Record<"front" | "guardian", { pid: number }>;
        must(record.front.pid === front.pid && record.guardian.pid === guardian.pid, "the record names others");
      };
      await look();
      await killFront(world);
      await look();
      const life = lifeOf(world);
      world.pauseMs = 5000;
      void life.keeper.close("shutdown");
      await endOf(world, life, 30_000);
      must(!existsSync(file), "a gateway that has ended is on record");
    },
  },
  "a session over all servers calls each, and all end with it": {
    play: async (world) => {
      const session = await open(world, "/mcp");
      for (const name of ["echo__echo", "pooled__echo", "deaf__echo"]) await mustAnswer(world, "/mcp", session, name);
      const missing = await call(world, "/mcp", session, "nobody__echo");
      must(missing.body.includes('"error"'), `a call of no server: ${missing.body}`);
      await killFront(world);
      for (const name of ["echo__echo", "pooled__echo", "deaf__echo"]) await mustAnswer(world, "/mcp", session, name);
      const body = { jsonrpc: "2.0", id: 9, method: "tools/list", params: {} };
      const { answer } = world.client().send("POST", "/mcp", body, { "mcp-session-id": session });
      const listed = (await answer).body;
      must(
        ["echo__echo", "pooled__echo", "deaf__echo"].every((name) => listed.includes(name)),
        `listed: ${listed}`,
      );
      await ask(world, "session.end", { id: session });
      const left = world.servants.map(({ command }) => command).filter((command) => command === "deaf-mcp");
      must(left.length === 0, "a session's server outlives it");
    },
  },
};
