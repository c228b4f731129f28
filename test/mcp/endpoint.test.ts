/** Which of the two engines serves a session at `/mcp/<server>` is decided once. */
import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, it } from "node:test";
import { FakeKeeper } from "../gateway/helpers/fake-keeper.ts";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { fixture } from "../helpers/servers.ts";
import { patiently } from "../helpers/until.ts";
import { Talk } from "./helpers/talk.ts";

describe("a session on one server", { timeout: patiently(60_000) }, () => {
  leavesNothing();

  it("stays what it was when it began, whatever was learnt of its server since, and whatever else a request says", async () => {
    const flag = join(tmpdir(), `holdfast-era-${process.pid}`);
    const [sessions, stateless] = [fixture("light-server.sh"), fixture("stateless-server.ts")];
    const script = `if [ -e "$0" ]; then exec "$@"; fi; exec sh ${sessions}`;
    const server = { command: "sh", args: ["-c", script, flag, process.execPath, stateless] };
    await using keeper = await FakeKeeper.start({ servers: { s: server } });
    const [talk, other, scoped] = [1, 2, 3].map(() => new Talk(`${keeper.url}/mcp/s`)) as [Talk, Talk, Talk];
    assert.equal((await talk.initialize()).status, 200);
    const isThere = async (more: Record<string, string> = {}) => {
      const { status, text } = await talk.post({ jsonrpc: "2.0", id: 1, method: "tools/list" }, more);
      assert.equal(status, 200, text);
    };
    try {
      writeFileSync(flag, "");
      const answer = await other.initialize();
      assert.match(answer.text, /serverInfo/, "it refuses sessions now, and is translated");
      await isThere();
      assert.equal(
        (await scoped.post({ jsonrpc: "2.0", id: 1, method: "tools/list" }, { "x-holdfast-scope": "s" })).status,
        200,
      );
      await isThere({ "x-holdfast-scope": "s" });
      using stream = await talk.listen();
      assert.equal(stream.response.statusCode, 200);
      assert.equal((await other.request("tools/list")).status, 200);
    } finally {
      rmSync(flag, { force: true });
    }
    assert.equal((await talk.delete()).status, 204);
  });
});
