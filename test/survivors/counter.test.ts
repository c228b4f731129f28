/** The matrix is worth what its counter sees: under a host that is killed, the counter must see every process of the fixture. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { leavesNothing } from "../helpers/no-leaks.ts";
import { playSdk } from "../helpers/sdk-column.ts";
import { everything, stubborn } from "../helpers/servers.ts";
import { patiently } from "../helpers/until.ts";

leavesNothing();

test(
  "the counter sees what the MCP SDK's own transport leaves when its host is killed",
  { timeout: patiently(60_000) },
  async () => {
    const { listed, survivors } = await playSdk("kill", (pidFile) => ({
      stubborn: stubborn(pidFile),
      everything: everything(pidFile),
    }));
    assert.equal(listed, 6);
    const roles = new Set(survivors.map(({ role }) => role));
    for (const role of ["server", "group", "setsid", "cleared", "double-forked"])
      assert.ok(roles.has(role), `${role} is not seen`);
  },
);
