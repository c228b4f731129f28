/** What the logs of a world must tell: the story of each run, session and keeper, whole and in order. */
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import type { Host } from "./host.ts";
import { BrokenPromise, type World } from "./world.ts";

interface Entry {
  readonly event: string;
  readonly run?: string;
  readonly session?: string;
  readonly reason?: string;
  readonly endReason?: string | null;
  readonly survivors?: readonly unknown[];
}

/** Never to be read in a log, whatever happens around a gateway. */
const defects = new Set(["gateway.defect", "keeper.crashed", "front.failed"]);

/** Of the keeper and its fronts, in the order in which they were written. */
export function logOf({ directory }: Host): Entry[] {
  const path = join(directory, "log");
  const names = readdirSync(path).filter((name) => name.startsWith("keeper.log"));
  // The older ones have a number behind their name.
  const text = names
    .toSorted((one, other) => other.localeCompare(one))
    .map((name) => readFileSync(join(path, name), "utf8"));
  return text
    .join("")
    .split("\n")
    .filter((line) => line !== "")
    .map((line) => JSON.parse(line) as Entry);
}

/** Throws when a story is not whole. To be asked after the orderly end of everything. */
export function mustBeTold(world: World): void {
  for (const host of world.hosts) {
    const entries = logOf(host);
    const fail = (what: string) => {
      throw new BrokenPromise(`the log of ${host.name} ${what}`);
    };
    const defect = entries.find(({ event }) => defects.has(event));
    if (defect !== undefined) fail(`tells of a defect: ${JSON.stringify(defect)}`);
    const stories = (key: "run" | "session", pattern: RegExp) =>
      Map.groupBy(
        entries.filter((entry) => pattern.test(entry.event) && typeof entry[key] === "string"),
        (entry) => entry[key]!,
      );
    const wasKilled =
      entries.filter(({ event }) => event === "keeper.started").length >
      entries.filter(({ event }) => event === "keeper.ended").length;
    for (const [run, story] of stories("run", /^run\.(?:intended|spawned|stopping|ended)$/)) {
      const told = story.map(({ event }) => event.slice("run.".length)).join(" ");
      if (!/^intended(?: spawned)?(?: stopping)*(?: ended)?$/.test(told)) fail(`tells of ${run}: ${told}`);
      const end = story.find(({ event }) => event === "run.ended");
      if (end?.endReason === null || end?.endReason === "") fail(`does not say why ${run} has ended`);
      if (!wasKilled && end === undefined && told.includes("spawned") && !told.includes("stopping"))
        fail(`does not tell the end of ${run}`);
    }
    for (const [session, story] of stories("session", /^session\.(?:opened|ended)$/)) {
      const told = story.map(({ event }) => event).join(" ");
      if (told !== "session.opened" && told !== "session.opened session.ended")
        fail(`tells of session ${session}: ${told}`);
      if (story.at(-1)?.event === "session.ended" && (story.at(-1)?.reason ?? "") === "")
        fail(`does not say why ${session} has ended`);
    }
  }
}
