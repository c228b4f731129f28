/**
 * Plays `holdfast wrap` on OpenClaw, which is too large (650 MB) for every run of the tests. By hand, after a build:
 * `node scripts/try-openclaw.ts [DIRECTORY]`. It installs OpenClaw from the npm registry into the directory (a temporary one by
 * default), has OpenClaw's own command write a config in a scratch home, wraps it, lets OpenClaw start the servers, kills
 * OpenClaw with SIGKILL, counts who is left, and unwraps. Exit code 0: nothing was left, and every byte came back.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { text } from "node:stream/consumers";
import { boundMs, Place, stubbornProcesses, type Words } from "../test/clients/helpers/place.ts";
import { settle, waitForListed, waitForZero } from "../test/helpers/pids.ts";
import { root } from "../test/helpers/tiers.ts";

const version = "2026.9.6";
const directory = process.argv[2] ?? join(tmpdir(), `holdfast-openclaw-${process.getuid?.() ?? 0}-${version}`);

/** A start of OpenClaw's command takes ten seconds and more on a busy machine. */
const startBoundMs = 90_000;

function install(): string {
  const program = join(directory, "node_modules", "openclaw", "openclaw.mjs");
  if (existsSync(program)) return program;
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(directory, "package.json"), '{ "private": true }\n');
  const words = ["install", "--ignore-scripts", "--no-audit", "--no-fund", "--loglevel=error", `openclaw@${version}`];
  const { status } = spawnSync("npm", words, { cwd: directory, stdio: "inherit" });
  assert.equal(status, 0, "npm install");
  return program;
}

const program = install();
const say = (line: string) => process.stdout.write(`${line}\n`);
const holdfast = (place: Place, ...args: string[]) =>
  place.run(process.execPath, [join(root, "dist/main.js"), ...args, "--client", "openclaw", "--yes"]);

async function openclaw(place: Place, ...args: string[]): Promise<string> {
  const child = place.start(process.execPath, [program, ...args]);
  child.stdin?.end();
  const timer = setTimeout(() => child.kill("SIGKILL"), startBoundMs);
  try {
    return await text(child.stdout!);
  } finally {
    clearTimeout(timer);
  }
}

async function configure(place: Place, servers: Record<string, Words>): Promise<string> {
  for (const [name, words] of Object.entries(servers)) await openclaw(place, "mcp", "set", name, JSON.stringify(words));
  return join(place.directory, ".openclaw", "openclaw.json");
}

/** OpenClaw's command starts itself once more; the inner one is the client. */
function ownProcesses(pid: number): number[] {
  const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "latin1").split(" ").filter(Boolean).map(Number);
  const own = children.filter((child) => readFileSync(`/proc/${child}/cmdline`, "latin1").includes("openclaw"));
  return [pid, ...own.flatMap(ownProcesses)];
}

/** Starts the probe, which connects to every server, and kills it when they are there and one still owes its answer. */
async function probeAndKill(place: Place): Promise<void> {
  const client = place.start(process.execPath, [program, "mcp", "probe"]);
  client.stdin?.end();
  await waitForListed(place.pidFile, 1 + stubbornProcesses, startBoundMs);
  const all = ownProcesses(client.pid ?? 0);
  for (const signal of ["SIGSTOP", "SIGKILL"] as const) for (const pid of all) process.kill(pid, signal);
  say(`killed -9: OpenClaw (${all.length} processes of its own)`);
  await place.kill(client);
}

{
  await using place = new Place();
  const file = await configure(place, { stubborn: place.stubborn(), silent: place.silent() });
  const before = readFileSync(file);
  await holdfast(place, "wrap");
  const wrapped = readFileSync(file);
  assert.equal(wrapped.toString().match(/"run",\s*"--"/g)?.length, 2);
  say(`OpenClaw ${version}: wrapped ${file}`);
  await probeAndKill(place);
  say(`its servers: nobody left after ${await waitForZero(place.pidFile, boundMs)} ms`);
  assert.ok(readFileSync(file).equals(wrapped), "OpenClaw did not write its config meanwhile");
  await holdfast(place, "unwrap");
  assert.ok(readFileSync(file).equals(before));
  say("unwrapped: every byte as before");
}
{
  await using place = new Place();
  await configure(place, { everything: place.everything() });
  await holdfast(place, "wrap");
  const said = await openclaw(place, "mcp", "probe");
  assert.match(said, /everything/);
  say(`probed through the wrapper: ${said.trim().split("\n").slice(-1)[0]}`);
  await waitForZero(place.pidFile, boundMs);
}
{
  const place = new Place();
  await configure(place, { stubborn: place.stubborn(), silent: place.silent() });
  await probeAndKill(place);
  const { survivors } = await settle(place.pidFile, 2000);
  say(`not wrapped, for comparison: ${survivors.length} processes left after the same kill -9`);
  await place[Symbol.asyncDispose]().catch(() => {}); // it reports what was left, and ends it
}
