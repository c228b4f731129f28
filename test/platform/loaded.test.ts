/** Every way in loads the code of its own system and of no other, whichever system it is. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative } from "node:path";
import { after, before, describe, it } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { keeperFlags } from "../../src/cli/become-keeper.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { flagsToPlay, played } from "../helpers/played-system.ts";
import { mainOfModules } from "../helpers/program.ts";
import { patiently } from "../helpers/until.ts";

leavesNothing();
let place = "";
before(() => {
  place = mkdtempSync(join(tmpdir(), "holdfast-loaded-"));
  mkdirSync(join(place, "state"), { mode: 0o700 });
});
after(() => rmSync(place, { recursive: true }));

const built = dirname(mainOfModules);
const library = `import { contain, ContainedStdioTransport } from ${JSON.stringify(pathToFileURL(join(built, "index.js")).href)};
  for (const start of [() => contain("true"), () => new ContainedStdioTransport({ command: "true" }).start()])
    await start().catch(() => {});`;

/** Node's arguments; each ends by itself, most with the refusal of a system that is only played. */
const waysIn: Readonly<Record<string, (file: string) => string[]>> = {
  run: () => [mainOfModules, "run", "--", process.execPath, "--version"],
  "the library": () => ["--input-type=module", "-e", library],
  "wrap --yes": (file) => [mainOfModules, "wrap", "--yes", file],
  doctor: () => [mainOfModules, "doctor"],
  gateway: () => [...keeperFlags, mainOfModules, "gateway", "--port", "0", "--state", "/dev/null/state"],
  "a front without a keeper": () => [join(built, "gateway/main.js")],
  status: () => [mainOfModules, "status"],
};

/** Files of the platform that were loaded, from its directory on. */
function loadedBy(words: string[], flags: (list: string) => string[]): string[] {
  const list = join(place, "loaded");
  writeFileSync(list, "");
  const env = { PATH: process.env["PATH"], HOME: place, HOLDFAST_STATE: join(place, "state") };
  const { error, signal } = spawnSync(process.execPath, [...flags(list), ...words], {
    cwd: place,
    env,
    timeout: 60_000,
  });
  assert.deepEqual([error, signal], [undefined, null]);
  const files = readFileSync(list, "utf8").split("\n");
  return files
    .filter((url) => url.startsWith("file:"))
    .map((url) => relative(join(built, "platform"), fileURLToPath(url)))
    .filter((file) => !file.startsWith(".."));
}

const systems = { linux: played.thisLinux, darwin: played.darwin, windows: played.windows };

for (const [own, system] of Object.entries(systems)) {
  describe(`on ${own}`, { timeout: patiently(120_000) }, () => {
    const others = ["linux", "windows", "darwin", "simulated"].filter((name) => name !== own);
    for (const [name, words] of Object.entries(waysIn)) {
      it(`${name} loads the code of no other system`, () => {
        const file = join(place, "client.json");
        writeFileSync(file, '{ "mcpServers": { "a": { "command": "sh", "args": [] } } }');
        const loaded = loadedBy(words(file), (list) => flagsToPlay(system, list));
        assert.ok(
          loaded.some((path) => path.startsWith(`${own}/`)),
          `nothing of its own: ${loaded.join(" ")}`,
        );
        assert.deepEqual(
          loaded.filter((path) => others.includes(path.split("/")[0] ?? "")),
          [],
        );
      });
    }
  });
}
