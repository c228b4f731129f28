/** In which states faults strike: those that the product's own state machines are in at that moment. */
import type { Host } from "./host.ts";
import type { World } from "./world.ts";

/** How often, by fault and state. */
export type Strikes = Record<string, Record<string, number>>;

export function addStrikes(to: Strikes, more: Strikes): void {
  for (const [fault, states] of Object.entries(more)) {
    const row = (to[fault] ??= {});
    for (const [state, count] of Object.entries(states)) row[state] = (row[state] ?? 0) + count;
  }
}

/** Every state of each machine, of the runs on record, and of what is between them. It asks nobody, so nothing happens by it. */
export function statesOf(world: World): string[] {
  const { site, node, network } = world;
  const isAsked = network.open.some(({ ends: [client] }) => !("pid" in client.owner));
  const states = [...hostStates(site, ""), isAsked ? "request under way" : "no request"];
  if (node === undefined) return [...states, "no node"];
  const known = site.disk.rows("nodes.db", "select state from nodes") as { state: string }[];
  const far = site.disk.rows("nodes.db", "select distinct state from runs where state <> 'exited'");
  return [
    ...states,
    ...hostStates(node, "node's "),
    node.link.isConnected ? "node connected" : "node away",
    `node ${known[0]?.state ?? "unknown"}`,
    ...far.map(({ state }) => `run on node ${String(state)}`),
  ];
}

function hostStates(host: Host, whose: string): string[] {
  const { life, disk } = host;
  const runs = disk.rows("ledger.sqlite", "select distinct state from runs where state <> 'exited'");
  const states = runs.length === 0 ? ["no run"] : runs.map(({ state }) => `run ${String(state)}`);
  const keeper = keeperState(host);
  if (life === undefined || keeper === "down") return [...states, "keeper down"].map((state) => whose + state);
  const { front, guardian } = life.keeper.figures.helpers;
  return [...states, `keeper ${keeper}`, `front ${front}`, `guardian ${guardian}`].map((state) => whose + state);
}

function keeperState({ life }: Host): "down" | "stopped" | "up" | "starting" {
  const own = life?.platform.own;
  if (own?.isAlive !== true) return "down";
  if (own.isStopped) return "stopped";
  return life?.hasServed === true ? "up" : "starting";
}

/** Those that a machine passes through so quickly that a fault at any time hardly ever meets them. */
const passing = [
  ...["starting", "draining", "gone", "idle"].flatMap((state) => [`front ${state}`, `guardian ${state}`]),
  "keeper down",
  "keeper starting",
  "keeper stopped",
  "run starting",
  "run stopping",
];
const passingWithNode = [
  ...passing.map((state) => `node's ${state}`),
  "node away",
  "node pending",
  "node unknown",
  "node revoked",
  "run on node starting",
  "run on node stopping",
  "run on node lost",
];

/** Tells whether one of them, drawn at random, is now; cheap enough to be asked between any two events. */
export function lookOut(world: World): () => boolean {
  const { random } = world.simulation;
  const state = random.pick(world.node !== undefined && random.chance(0.6) ? passingWithNode : passing)!;
  const host = state.startsWith("node's ") ? world.node! : world.site;
  const own = state.replace("node's ", "");
  const [what = "", which = ""] = own.split(" ");
  if (what === "front" || what === "guardian")
    return () => keeperState(host) !== "down" && host.life?.keeper.figures.helpers[what] === which;
  if (what === "keeper") return () => keeperState(host) === which;
  if (own === "node away") return () => world.node?.link.isConnected === false;
  // Rows change with a write only.
  let [writes, isSo] = [-1, false];
  return () => {
    if (host.disk.writes !== writes) isSo = statesOf(world).includes(state);
    writes = host.disk.writes;
    return isSo;
  };
}

/** Pairs that cannot meet, and why; storms have shown none of them. */
const cannotMeet: readonly [fault: RegExp, state: RegExp, why: string][] = [
  [/node|^link|^late bytes/, /^no node$/, "there is no node"],
  [/^kill (?:guard|mcp)$/, /^no run$/, "there is no run"],
  [/^crash of the keeper|^keeper stands still|^kill keeper/, /^keeper down$/, "there is no keeper"],
  [/^crash of the node's keeper/, /^node's keeper down$/, "there is no keeper"],
  [/^the node's keeper stands still|^kill the node's keeper/, /^node's keeper down$/, "there is no keeper"],
  [/^the node visits/, /^node's keeper (?:down|stopped)$/, "it takes a keeper that hears"],
  [/^the node is revoked/, /^(?:keeper down|front gone)$/, "nobody can ask for it"],
  [/^(?:reload|restart|restart --all|stop)$/, /^keeper (?:down|stopped)$/, "no keeper hears it"],
];

/** Why they cannot meet; undefined when they can. */
function whyNever(fault: string, state: string): string | undefined {
  return cannotMeet.find(([of, at]) => of.test(fault) && at.test(state))?.[2];
}

/** Below this a fault and a state have hardly met. */
const meetingsMin = 50;

function statesIn(strikes: Strikes): string[] {
  return [...new Set(Object.values(strikes).flatMap((row) => Object.keys(row)))].toSorted();
}

/** One line for each fault: how often it struck, and how often in each state. */
export function tableOf(strikes: Strikes): string {
  const states = statesIn(strikes);
  const lines = Object.entries(strikes)
    .toSorted(([one], [other]) => one.localeCompare(other))
    .map(([fault, row]) => `| ${[fault, ...states.map((state) => row[state] ?? 0)].join(" | ")} |`);
  return [`| ${["fault", ...states].join(" | ")} |`, `|${" --- |".repeat(states.length + 1)}`, ...lines].join("\n");
}

/** How many of the pairs that can meet have met often enough; then the seldom ones, those that never met, and contradictions. */
export function meetingsOf(strikes: Strikes): string {
  const faults = Object.keys(strikes).toSorted();
  const states = statesIn(strikes).filter((state) => state !== "all");
  const met = (fault: string, state: string) => strikes[fault]?.[state] ?? 0;
  const pairs = faults.flatMap((fault) => states.map((state) => [fault, state] as const));
  const [possible, impossible] = [true, false].map((can) =>
    pairs.filter(([fault, state]) => (whyNever(fault, state) === undefined) === can),
  ) as [typeof pairs, typeof pairs];
  const often = possible.filter((pair) => met(...pair) >= meetingsMin).length;
  const lines = (those: typeof pairs) =>
    states.flatMap((state) => {
      const found = those.filter(([, at]) => at === state);
      const told = found.map(([fault]) => (met(fault, state) === 0 ? fault : `${fault} ${met(fault, state)}`));
      return told.length === 0 ? [] : [`  ${state}: ${told.join(", ")}`];
    });
  return [
    `${faults.length} faults in ${states.length} states: ${pairs.length} pairs, of which ${impossible.length} cannot meet; ${often} of the other ${possible.length} met at least ${meetingsMin} times`,
    "fewer:",
    ...lines(possible.filter((pair) => met(...pair) > 0 && met(...pair) < meetingsMin)),
    "never:",
    ...lines(possible.filter((pair) => met(...pair) === 0)),
    ...impossible
      .filter((pair) => met(...pair) > 0)
      .map(([fault, state]) => `met although it cannot: ${fault}, ${state} (${whyNever(fault, state)})`),
  ].join("\n");
}
