/** What people read about signals says what Windows does, which has none. */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, it } from "node:test";
import { mainFile } from "../../helpers/program.ts";
import { root } from "../../helpers/tiers.ts";

const commands = ["gateway", "run", "node run", "process signal", "process kill", "stop", "restart"];
const library = readdirSync(join(root, "src", "library")).map((name) => join(root, "src", "library", name));

describe("what promises a signal", () => {
  for (const command of commands)
    it(`names what Windows does instead: holdfast ${command} --help`, () => {
      const help = execFileSync(process.execPath, [mainFile, ...command.split(" "), "--help"], { encoding: "utf8" });
      assert.ok(!/SIG(?:TERM|KILL)/.test(help) || /Windows/.test(help), help);
    });

  it("names what Windows does instead: docstrings of the library, and of the config's graces", () => {
    for (const file of [...library, join(root, "src", "config", "schema.ts")]) {
      const docstrings = readFileSync(file, "utf8").match(/\/\*\*[^]*?\*\//g) ?? [];
      for (const each of docstrings.filter((text) => /SIG(?:TERM|KILL)/.test(text)))
        assert.match(each, /Windows/, file);
    }
  });
});
