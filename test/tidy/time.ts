/** Where time and random numbers may come from: objects receive both, and only entry points name the system's. */

/** Code outside every simulation, by path: what a person starts, or what waits for the real system. Each with its reason. */
const takesTheSystems: Record<string, string> = {
  "src/clock.ts": "defines it",
  "src/random.ts": "defines it",
  "src/gateway/main.ts": "entry of the gateway's front",
  "src/nodes/main.ts": "entry of a node's front",
  "src/keeper/own-process.ts": "a keeper's real process, which a simulation replaces",
  "src/cli/": "commands",
  "src/doctor/": "a command",
  "src/selftest/": "a command",
  "src/client/": "public API",
  "src/library/": "public API",
  "src/oauth/": "a login of one command, and the SDK's fetch, which has no owner",
  "src/config/": "checks files for a command",
  "src/platform/": "waits for the real kernel; a simulation replaces it whole",
  "src/mcp/http/reply.ts": "drains a refused request's real socket, which has no owner",
  "src/platform/self/private-file.ts": "names a temporary file",
  "src/private-database.ts": "blocks on the lock of a real file",
};

/** Files with a raw timer. */
const rawTimers: Record<string, string> = {
  "src/clock.ts": "defines it",
  "src/random.ts": "defines it",
  "src/platform/simulated/simulation.ts": "lets the code under test have its turn between two simulated events",
  "src/keeper/own-process.ts": "a handle that keeps the process alive, and does nothing",
};

const raw =
  /\bDate\.now\b|\bperformance\.now\b|\bnew Date\(\)|(?<![.\w])set(?:Timeout|Interval|Immediate)\(|\bAbortSignal\.timeout\b|\bMath\.random\b|\brandom(?:UUID|Bytes|Int|FillSync)\b|\bgetRandomValues\b|\bprocess\.(?:hrtime|uptime)\b/g;
const timers = /"(?:node:)?timers(?:\/promises)?"/g;
const systems = /\bsystem(?:Clock|Random|Sources)\b/g;

function isNamed(paths: Record<string, string>, path: string): boolean {
  return Object.keys(paths).some((known) => (known.endsWith("/") ? path.startsWith(known) : path === known));
}

function timeBreaches({ path, text }: { path: string; text: string }): string[] {
  // Templates stay: they hold code.
  const code = text.replaceAll(/"(?:\\.|[^"\\\n])*"|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '""');
  const isSimulated = path.startsWith("src/platform/simulated/");
  const found = isNamed(rawTimers, path) ? [] : [...(code.match(raw) ?? []), ...(text.match(timers) ?? [])];
  const named = isNamed(takesTheSystems, path) && !isSimulated ? [] : (code.match(systems) ?? []);
  return [
    ...found.map((what) => `${what}: take a Clock or a Random instead`),
    ...named.map((what) => `${what}: only entry points name it`),
  ];
}

export const timeRule = {
  name: "time and chance come from the clock",
  applies: (path: string) => path.startsWith("src/") && path.endsWith(".ts"),
  breaches: timeBreaches,
  samples: [
    { path: "src/keeper/a.ts", text: "const at = Date.now();\n" },
    { path: "src/keeper/a.ts", text: "const name = `x-${Date.now()}`;\n" },
    { path: "src/keeper/a.ts", text: "setTimeout(end, 1000).unref();\n" },
    { path: "src/cli/a.ts", text: 'import { setTimeout as delay } from "node:timers/promises";\n' },
    { path: "src/mcp/a.ts", text: 'import { randomBytes } from "node:crypto";\n' },
    { path: "src/nodes/a.ts", text: "const signal = AbortSignal.timeout(1000);\n" },
    { path: "src/keeper/a.ts", text: 'import { systemClock } from "../clock.ts";\n' },
    { path: "src/platform/simulated/a.ts", text: 'import { systemRandom } from "../../random.ts";\n' },
  ],
};
