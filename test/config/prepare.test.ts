/** What makes one server of a config unavailable. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, it } from "node:test";
import { loadConfig } from "../../src/config/load.ts";

const directory = mkdtempSync(join(tmpdir(), "holdfast-prepare-"));
after(() => rmSync(directory, { recursive: true }));
const file = join(directory, "holdfast.json");

it("a remote server is unavailable with a header that cannot be sent, and the key is named", () => {
  const problemWith = (value: string) => {
    const far = { url: "http://localhost/mcp", headers: { "X-Key": value } };
    writeFileSync(file, JSON.stringify({ mcpServers: { far } }));
    return loadConfig(file).unavailable["far"]?.problem;
  };
  for (const value of ["a\nb", "a\r\nX: y", "\0", "\u20ac"])
    assert.match(problemWith(value) ?? "", /mcpServers\.far\.headers\.X-Key: holds a character .* one line of Latin-1/);
  for (const value of ["", "caf\u00e9\t1", "Bearer x"]) assert.equal(problemWith(value), undefined, value);
});
