/** A program is found wherever the system would start it. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { findProgram } from "../../src/platform/program.ts";
import { needs, needsRoot } from "../helpers/needs.ts";
import { root } from "../helpers/tiers.ts";

describe("a program", () => {
  it(
    "is found behind a directory that is private, by one whom a capability leads through",
    { skip: needsRoot("the capability to read everything") || needs("setpriv") },
    () => {
      const directory = mkdtempSync(join(tmpdir(), "holdfast-test-"));
      try {
        mkdirSync(join(directory, "private"), { mode: 0o700 });
        const file = join(directory, "private", "tool");
        writeFileSync(file, "#!/bin/sh\n");
        const look = (mode: number) => {
          chmodSync(file, mode);
          const script = `import { findProgram } from ${JSON.stringify(join(root, "src/platform/program.ts"))};
          process.stdout.write(String(findProgram(${JSON.stringify(file)}, "/", "")));`;
          const rights = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"];
          const become = ["--reuid=65534", "--regid=65534", "--clear-groups", ...rights];
          const node = [process.execPath, "--input-type=module", "-e", script];
          const { stdout, stderr } = spawnSync("setpriv", [...become, ...node], {
            encoding: "utf8",
            cwd: "/",
            timeout: 20_000,
          });
          assert.equal(stderr, "");
          return stdout;
        };
        assert.equal(look(0o755), file);
        assert.equal(look(0o744), "undefined");
        assert.equal(findProgram(file, "/", ""), file);
        chmodSync(file, 0o644);
        assert.equal(findProgram(file, "/", ""), undefined);
      } finally {
        rmSync(directory, { recursive: true });
      }
    },
  );
});
