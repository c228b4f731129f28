/** Where the files of this user lie on each system. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { it } from "node:test";
import { flagsToPlay, played } from "../helpers/played-system.ts";

const places = new URL("../../src/platform/places.ts", import.meta.url).href;
const source = `const { stateDirectory, cacheDirectory } = await import(${JSON.stringify(places)});
  process.stdout.write(stateDirectory() + " " + cacheDirectory());`;

function placesOn(system: (typeof played)[keyof typeof played], env: Record<string, string>): string {
  const words = [...flagsToPlay(system), "--input-type=module", "-e", source];
  const { stdout, stderr, status } = spawnSync(process.execPath, words, { env, encoding: "utf8" });
  assert.deepEqual([status, stderr], [0, ""]);
  return stdout;
}

for (const system of ["thisLinux", "darwin"] as const) {
  it(`${played[system].system} has state and cache where command line tools keep them, or where XDG says`, () => {
    const home = "/h";
    assert.equal(placesOn(played[system], { HOME: home }), `${home}/.local/state/holdfast ${home}/.cache/holdfast`);
    const named = { HOME: home, XDG_STATE_HOME: "/s", XDG_CACHE_HOME: "/c" };
    assert.equal(placesOn(played[system], named), "/s/holdfast /c/holdfast");
  });
}

it("Windows has both in the local data of the user, whatever XDG says", () => {
  const env = { LOCALAPPDATA: "/local", XDG_STATE_HOME: "/s", XDG_CACHE_HOME: "/c" };
  assert.equal(placesOn(played.windows, env), "/local/holdfast/state /local/holdfast/cache");
});
