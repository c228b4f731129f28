/**
 * What known faults and mutants are played against, in a process of its own: `battery.ts scenes NAME…` with both proofs of
 * empty, `battery.ts parts`, which reads their names and bounds from its input, or `battery.ts reach`, which reads places and tells
 * which of them each part runs. Prints what breaks first and exits with 1; with 0 when everything holds.
 */
import { text } from "node:stream/consumers";
import { Watchdog } from "./watchdog.ts";
import { loading, type Chosen } from "./patched-play.ts";
import { Reach, type Place, type Reached } from "./reach.ts";

const now = { name: loading };
// An exception that nobody catches is caught here.
const caught = (thrown: unknown) => {
  const [first] = (thrown instanceof Error ? thrown.message : String(thrown)).split("\n");
  console.log(JSON.stringify({ by: now.name, promise: first }));
  process.exit(1);
};
process.on("uncaughtException", caught);
process.on("unhandledRejection", caught);

async function play(name: string, part: () => Promise<unknown>): Promise<void> {
  now.name = name;
  await part().catch(caught);
}

/** Before the product is loaded, so that its loading is counted too. */
async function reach(places: Place[]): Promise<Reached> {
  const counted = await Reach.begin(places);
  const { parts } = await import("./parts.ts");
  const loaded = await counted.take();
  const reached: Reached = { loaded, parts: [] };
  for (const [name, part] of parts) {
    const began = process.cpuUsage();
    await play(name, part);
    const { user, system } = process.cpuUsage(began);
    reached.parts.push({ name, ms: Math.round((user + system) / 1000), places: await counted.take() });
  }
  return reached;
}

const [what, ...names] = process.argv.slice(2);
if (what === "reach") {
  const told = JSON.stringify(await reach(JSON.parse(await text(process.stdin)) as Place[]));
  await new Promise((resolve) => process.stdout.write(told, resolve));
} else if (what === "parts") {
  const { parts } = await import("./parts.ts");
  const chosen = JSON.parse(await text(process.stdin)) as Chosen[];
  const watchdog = new Watchdog(chosen.map(({ name }) => name));
  for (const [number, { name, boundMs }] of chosen.entries()) {
    watchdog.begin(number, boundMs);
    await play(name, parts.get(name) ?? (() => Promise.reject(new Error(`no part ${name}`))));
  }
} else {
  const { playPromise } = await import("./promises.ts");
  for (const proof of ["kernel", "scan"] as const)
    for (const name of names) await play(`${name} (${proof})`, () => playPromise(name, proof));
}
process.exit(0);
