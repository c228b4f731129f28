/** `holdfast wrap` on configs that real clients wrote by their own commands: they run through it, and get their bytes back. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { readListed, waitForListed, waitForZero } from "../helpers/pids.ts";
import { mainFile } from "../helpers/program.ts";
import { patiently } from "../helpers/until.ts";
import { Codex, configOf, writeSettings } from "./helpers/codex.ts";
import { installClients } from "./helpers/install.ts";
import { boundMs, Place, stubbornProcesses, type Words } from "./helpers/place.ts";

const { clients, skip } = await installClients();

async function holdfast(place: Place, ...args: string[]): Promise<string> {
  return place.run(process.execPath, [mainFile, ...args]);
}

async function addAll(place: Place, program: string, servers: Record<string, Words>): Promise<void> {
  for (const [name, { command, args }] of Object.entries(servers))
    await place.run(program, ["mcp", "add", name, "--", command, ...args]);
}

/** Wraps and unwraps, and leaves it wrapped; every byte must come back, and a second time must change nothing. */
async function wrapThereAndBack(place: Place, client: string, file: string, servers: number): Promise<Buffer> {
  const before = readFileSync(file);
  await holdfast(place, "wrap", "--client", client, "--yes");
  const wrapped = readFileSync(file);
  assert.equal(wrapped.toString().match(/"run",\s*"--"/g)?.length, servers);
  assert.match(await holdfast(place, "wrap", "--client", client, "--yes"), /nothing to change/);
  assert.deepEqual(readFileSync(file), wrapped);
  await holdfast(place, "unwrap", "--client", client, "--yes");
  assert.deepEqual(readFileSync(file), before);
  await holdfast(place, "wrap", "--client", client, "--yes");
  assert.deepEqual(readFileSync(file), wrapped);
  return before;
}

describe("holdfast wrap on what real clients wrote", { skip, concurrency: 2, timeout: patiently(120_000) }, () => {
  leavesNothing();

  it("Claude Code: its servers run through it, nothing is left after kill -9, unwrapped its config is what it was", async () => {
    await using place = new Place();
    const file = join(place.directory, ".claude", ".claude.json");
    await addAll(place, clients.claude, { everything: place.everything(), stubborn: place.stubborn() });
    const before = await wrapThereAndBack(place, "claude", file, 2);
    const said = await place.run(clients.claude, ["mcp", "list"]);
    assert.equal(said.split("\n").filter((line) => line.includes("Connected")).length, 2, said);
    assert.equal(readListed(place.pidFile).length, 1 + stubbornProcesses);
    await waitForZero(place.pidFile, boundMs);

    await addAll(place, clients.claude, { silent: place.silent() });
    await holdfast(place, "wrap", "--client", "claude", "--yes");
    const client = place.start(clients.claude, ["mcp", "list"]);
    await waitForListed(place.pidFile, 1 + stubbornProcesses + 1 + stubbornProcesses + 1, boundMs);
    await place.kill(client);
    await waitForZero(place.pidFile, boundMs);

    await holdfast(place, "unwrap", "--client", "claude", "--yes");
    const servers = (text: string) =>
      Object.values((JSON.parse(text) as { projects: Record<string, { mcpServers?: object }> }).projects).map(
        ({ mcpServers }) => mcpServers,
      );
    const { silent, ...rest } = servers(readFileSync(file, "utf8"))[0] as Record<string, unknown>;
    assert.equal((silent as Words).command, "sh");
    assert.deepEqual([rest], servers(before.toString()));
  });

  it("Codex: its app-server runs them through it, nothing is left after kill -9, unwrapped its config is what it was", async () => {
    await using place = new Place();
    const file = configOf(place);
    writeSettings(place);
    await addAll(place, clients.codex, { everything: place.everything(), stubborn: place.stubborn() });
    const before = await wrapThereAndBack(place, "codex", file, 2);
    const wrapped = readFileSync(file);
    const codex = await Codex.open(place, clients.codex);
    const thread = await codex.startThread(place.directory);
    for (const server of ["everything", "stubborn"])
      assert.match(await thread.call(server, "echo", { message: "hold" }), /Echo: hold/);
    await waitForListed(place.pidFile, 1 + stubbornProcesses, boundMs);
    await place.kill(codex.child);
    await waitForZero(place.pidFile, boundMs);
    assert.deepEqual(readFileSync(file), wrapped, "Codex does not write it");
    await holdfast(place, "unwrap", "--client", "codex", "--yes");
    assert.deepEqual(readFileSync(file), before);
  });
});
