/** Which tests are quick: nobody keeps a list, so the rule is held on samples. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { isQuick, longFiles, quickFiles } from "../scripts/layers.ts";

const files: Record<string, string> = {
  "test/a/pure.test.ts": 'import { readFileSync } from "node:fs";\nimport { x } from "../../src/x.ts";\n',
  "test/a/typed.test.ts": 'import type { Server } from "node:http";\nimport type { Far } from "./far.ts";\n',
  "test/a/windows.test.ts": 'import { acl } from "../../src/platform/windows/acl.ts";\n',
  "src/platform/windows/acl.ts": 'import { native } from "koffi";\n',
  "test/a/real.test.ts": 'import { deep } from "./helpers/deep.ts";\n',
  "test/a/late.test.ts": 'const { far } = await import("./far.ts");\n',
  "test/a/long.test.ts": 'import {\n  one,\n  two,\n} from "./far.ts";\n',
  "test/a/helpers/deep.ts": 'export { y } from "../far.ts";\n',
  "test/a/far.ts": 'import "./far.ts";\nimport { spawn } from "node:child_process";\n',
  "src/x.ts": 'import { it } from "node:test";\n',
  "test/a/self.test.ts": 'import { own } from "../../src/self.ts";\n',
  "src/self.ts": 'type Own = typeof import("../test/a/far.ts");\nexport const { own } = backend("self");\n',
  "src/platform/linux/self.ts": 'import { readFileSync } from "node:fs";\n',
  "test/a/platform.test.ts": 'import { platform } from "../../src/platform.ts";\n',
  "src/platform.ts": 'export const { platform } = backend("index");\n',
  "src/platform/linux/index.ts": 'import { spawn } from "node:child_process";\n',
};
const isQuickHere = (file: string) => isQuick(file, (path) => files[path] ?? "");

it("what starts no process and opens no socket is quick, directly and by what it imports", () => {
  assert.deepEqual(
    Object.keys(files).filter((file) => file.endsWith(".test.ts") && isQuickHere(file)),
    ["test/a/pure.test.ts", "test/a/typed.test.ts", "test/a/windows.test.ts", "test/a/self.test.ts"],
  );
  files["src/x.ts"] += 'export * from "koffi";\n';
  assert.equal(isQuickHere("test/a/pure.test.ts"), false);
});

it("a simulation, a contract suite and a fuzzer are quick by where they are", () => {
  for (const directory of ["simulation", "platform/contract", "platform/simulated", "fuzz"]) {
    const file = `test/${directory}/b.test.ts`;
    files[file] = 'import net from "node:net";\n';
    assert.equal(isQuickHere(file), true, file);
  }
  assert.equal(
    isQuick("test/contracts/b.test.ts", () => 'import net from "node:net";'),
    false,
  );
});

it("this project's quick tests are found", () => {
  const quick = quickFiles();
  for (const file of [
    "test/layers.test.ts",
    "test/ownership/scope.test.ts",
    // Its database is private, which the operating system's part says.
    "test/torn/damage.test.ts",
    "test/platform/contract/simulated.test.ts",
  ])
    assert.ok(quick.includes(file), file);
  assert.ok(!quick.includes("test/gateway/start-stop.test.ts"));
});

it("what has a long form is found by what it imports", () => {
  const long = longFiles();
  assert.ok(long.includes("test/survivors/flat.test.ts"), long.join(" "));
  assert.ok(!long.includes("test/layers.test.ts"));
});
