/** Named scenes of what is on the disk: it is what callers are told, at each moment that lasts. */
import { ask, begin, killFront, must, open, refusalOf, type RunView } from "./acts.ts";
import type { PromiseScene } from "./promises.ts";
import { scriptOf } from "./scripted.ts";
import type { World } from "./world.ts";

interface Shown extends RunView {
  readonly pid: number | null;
  readonly signal: string | null;
  readonly startedAt: number;
  readonly endedAt: number | null;
  readonly leaderEndedAt: number | null;
  readonly sessionId: string | null;
  readonly scopeKey: string | null;
}

/** Compares the ledger with the list; resolves with the states there are. */
async function agreed(world: World, what: string): Promise<string> {
  const all = await ask<Shown[]>(world, "run.list", { all: true });
  const rows = new Map(world.site.disk.rows("ledger.sqlite", "select * from runs").map((row) => [row["id"], row]));
  for (const run of all) {
    const row = rows.get(run.id);
    const told = {
      state: run.state,
      end_reason: run.endReason,
      exit_code: run.exitCode,
      signal: run.signal,
      started_at: run.startedAt,
      ended_at: run.endedAt,
      leader_ended_at: run.leaderEndedAt,
      session_id: run.sessionId,
      scope_key: run.scopeKey,
    };
    for (const [column, value] of Object.entries(told))
      must(
        row?.[column] === value,
        `${what}: ${column} of ${run.id} is ${String(row?.[column])}, and told as ${String(value)}`,
      );
    // Of a run that is over it has the last ones that there were.
    if (run.state === "exited") continue;
    const survivors = JSON.parse((row?.["survivors"] as string | null) ?? "[]") as { pid: number }[];
    must(
      survivors.length === run.survivors.length,
      `${what}: ${survivors.length} survivors of ${run.id} are on record`,
    );
  }
  const open_ = [...rows.values()].filter(({ state }) => state !== "exited").length;
  must(all.filter(({ state }) => state !== "exited").length === open_, `${what}: ${open_} open runs are on record`);
  return all
    .map(({ state }) => state)
    .toSorted()
    .join();
}

export const recordScenes: Record<string, PromiseScene> = {
  "the ledger has what is told of each run": {
    play: async (world) => {
      const session = await open(world, "/mcp/echo");
      const own = { sessionId: session, scopeKey: "build" };
      const stays = await begin(world, scriptOf("a", { stay: true }), own);
      const fails = await begin(world, scriptOf("b", { ms: 300 }, { exit: 3 }), { scopeKey: "other" });
      const leaves = await begin(world, scriptOf("c", { fork: 1 }, { ms: 300 }), {
        descendants: "keep-until-scope-ends",
      });
      const stubborn = await begin(world, "deaf d");
      must(
        (await agreed(world, "at first")) === "running,running,running,running,running",
        await agreed(world, "at first"),
      );
      await ask(world, "run.wait", { id: fails.id, waitMs: 5000 });
      await world.clock.sleep(200);
      must(
        (await agreed(world, "after an end")) === "exited,running,running,running,running",
        await agreed(world, "after an end"),
      );
      const ending = ask(world, "run.kill", { id: stubborn.id }).catch(() => {}); // its front dies
      await world.clock.sleep(1000);
      must(
        (await agreed(world, "during an end")) === "exited,running,running,running,stopping",
        await agreed(world, "during an end"),
      );
      await killFront(world);
      await agreed(world, "with the next front");
      await ending;
      await world.until(
        "the run has ended",
        () => !world.servants.some(({ origin }) => origin === stubborn.id),
        10_000,
      );
      const stuck = await begin(world, "stuck e");
      world.isStuck = true;
      await world.clock.sleep(50);
      await refusalOf(world, "run.kill", { id: stuck.id });
      must((await agreed(world, "with survivors")).includes("stopping"), "a run with survivors is over");
      world.isStuck = false;
      await world.until("they are gone", () => !world.servants.some(({ origin }) => origin === stuck.id), 60_000);
      await world.clock.sleep(2000);
      await ask(world, "run.signal", { id: stays.id, signal: "SIGKILL" });
      await ask(world, "run.kill", { id: leaves.id });
      await ask(world, "run.wait", { id: stays.id, waitMs: 5000 });
      await world.clock.sleep(200);
      must(
        (await agreed(world, "at last")) === "exited,exited,exited,exited,exited,running",
        await agreed(world, "at last"),
      );
    },
  },
  "the store has what is told of each session": {
    config: { session: { idleLeaseMs: 60_000 } },
    play: async (world) => {
      const ids = [await open(world, "/mcp/echo"), await open(world, "/mcp/pooled"), await open(world, "/mcp")];
      interface View {
        id: string;
        kind: string;
        server: string | null;
        parentId: string | null;
        createdAt: number;
        lastSeenAt: number;
        leaseMs: number;
      }
      const look = async (what: string) => {
        const told = await ask<View[]>(world, "session.list");
        const rows = world.site.disk.rows("sessions.sqlite", "select * from sessions");
        must(rows.length === told.length, `${what}: ${rows.length} of ${told.length} sessions are stored`);
        for (const { id, kind, server, parentId, createdAt, lastSeenAt, leaseMs } of told) {
          const row = rows.find((each) => each["id"] === id)!;
          const isSame = row["kind"] === kind && row["server"] === server && row["parent_id"] === parentId;
          must(
            isSame && row["created_at"] === createdAt && row["lease_ms"] === leaseMs,
            `${what}: ${JSON.stringify(row)}`,
          );
          must(
            Math.abs(Number(row["last_seen_at"]) - lastSeenAt) <= 6000,
            `${what}: last seen ${String(row["last_seen_at"])}, told ${lastSeenAt}`,
          );
          must(row["protocol_version"] === "2025-06-18", `${what}: revision ${String(row["protocol_version"])}`);
        }
        return told.length;
      };
      must((await look("at first")) === 3, "sessions are missing");
      await world.clock.sleep(30_000);
      await world
        .client()
        .send("POST", "/mcp/echo", { jsonrpc: "2.0", id: 3, method: "ping" }, { "mcp-session-id": ids[0]! }).answer;
      await world.clock.sleep(8000);
      await look("after a request");
      await killFront(world);
      must((await look("with the next front")) === 3, "sessions are lost");
      await ask(world, "session.end", { id: ids[1] });
      must((await look("after an end")) === 2, "an ended session is stored");
    },
  },
};
