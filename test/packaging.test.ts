/** The unit that is shipped says what the docs promise of it, and starts what there is. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { root } from "./helpers/tiers.ts";

const read = (path: string) => readFileSync(join(root, path), "utf8");

it("the systemd unit delegates its cgroup, leaves nothing behind, and is part of the package", () => {
  const lines = read("packaging/holdfast.service").split("\n");
  const value = (key: string) =>
    lines.filter((line) => line.startsWith(`${key}=`)).map((line) => line.slice(key.length + 1));
  assert.deepEqual(value("Delegate"), ["yes"]);
  assert.deepEqual(value("KillMode"), ["control-group"]);
  assert.deepEqual(value("WantedBy"), ["default.target"], "what user units are wanted by");
  const [start = ""] = value("ExecStart");
  const { bin, files } = JSON.parse(read("package.json")) as { bin: Record<string, string>; files: string[] };
  assert.deepEqual(start.split(" "), ["/usr/bin/env", Object.keys(bin)[0], "gateway"]);
  assert.ok(files.includes("packaging"));
  const documented = [...read("docs/cli.md").matchAll(/^- `([A-Z][A-Za-z]+)=([^`…]*)…?`:/gm)];
  assert.ok(documented.length >= 5);
  for (const [, key = "", wanted = ""] of documented)
    assert.ok(
      value(key).some((given) => given.startsWith(wanted)),
      `${key}=${wanted}`,
    );
});
