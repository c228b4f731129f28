/** Runs the benches by name, or all of them. Each prints a table with the machine it ran on. Never part of CI. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { root } from "../test/helpers/tiers.ts";

interface Bench {
  question: string;
  load(): Promise<{ run(): Promise<boolean> }>;
}

/** The one bench that takes arguments and compares two builds; not part of a run of all. */
const guardQuestion = "guard COMMIT [--pairs N]: is this checkout slower or larger than that commit?";

const benches: Record<string, Bench> = {
  relay: {
    question: "what does a call through Holdfast cost, beside its ceiling and a peer?",
    load: () => import("./relay.ts"),
  },
  contain: {
    question: "how fast does a tree end, what does its container cost, and what do others leave?",
    load: () => import("./contain.ts"),
  },
  start: { question: "what do a start, a rest and a spawn cost?", load: () => import("./start.ts") },
  runs: { question: "what do background runs cost, beside plain spawn and node-pty?", load: () => import("./runs.ts") },
  ssh: { question: "what does a far side cost, and what is left of it?", load: () => import("./ssh.ts") },
  nodes: {
    question: "what does a command on a node cost, beside ssh, and is anything left of many?",
    load: () => import("./nodes.ts"),
  },
  faults: { question: "what do clients that misbehave leave behind?", load: () => import("./faults.ts") },
  connections: {
    question: "what does a connection cost, and how fast is a call over it, beside bare ws?",
    load: () => import("./connections.ts"),
  },
  adoption: { question: "what does the death of the front cost?", load: () => import("./adoption.ts") },
  doctor: {
    question: "how long does the doctor look at a machine with 2,000 processes?",
    load: () => import("./doctor.ts"),
  },
  sessions: {
    question: "what does a session cost, and what is left of 500?",
    load: () => import("./sessions.ts"),
  },
  published: {
    question: "what do published servers cost by npx and by node, and what is left of 50 child sessions on them?",
    load: () => import("./published.ts"),
  },
  "sessions-loop": {
    question: "does anything stay behind when sessions come and go?",
    load: () => import("./sessions-loop.ts"),
  },
};

function isBuilt(): boolean {
  const isThere = existsSync(join(root, "dist/main.js"));
  if (!isThere) console.error("the benches measure dist/: run `npm run build` first");
  return isThere;
}

async function main(names: string[]): Promise<number> {
  if (names[0] === "guard") {
    if (!isBuilt()) return 1;
    const guard = await import("./guard.ts");
    return (await guard.run(names.slice(1))) ? 0 : 1;
  }
  const unknown = names.filter((name) => benches[name] === undefined);
  if (names.includes("--list") || unknown.length > 0) {
    if (unknown.some((name) => name !== "--list")) console.error(`no such bench: ${unknown.join(", ")}`);
    for (const [name, { question }] of Object.entries(benches)) console.log(`${name.padEnd(14)} ${question}`);
    console.log(guardQuestion);
    return names.includes("--list") ? 0 : 2;
  }
  if (!isBuilt()) return 1;
  let held = true;
  for (const name of names.length === 0 ? Object.keys(benches) : names) {
    const bench = await benches[name]?.load();
    held = (await bench?.run()) === true && held;
  }
  return held ? 0 : 1;
}

process.exitCode = await main(process.argv.slice(2));
