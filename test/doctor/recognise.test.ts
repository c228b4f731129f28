/** Whose a process is, by the words it was started with. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { clientOf } from "../../src/doctor/recognise.ts";

describe("a gateway of ours", () => {
  for (const line of [
    "holdfast gateway",
    "/usr/local/bin/holdfast gateway --state /srv/state",
    "/usr/bin/node /usr/bin/holdfast gateway",
    "/usr/bin/node --disable-sigusr1 /usr/lib/node_modules/holdfast/lib/main.js gateway",
    "node /srv/checkout/dist/main.js --json gateway",
    "node src/main.ts gateway",
  ])
    it(`is known however it was installed: ${line}`, () =>
      assert.equal(clientOf(line.split(" ")), "Holdfast's gateway"));

  for (const line of [
    "holdfast status",
    "node /usr/lib/node_modules/holdfast/lib/main.js run -- gateway.sh",
    "gateway",
  ])
    it(`is not: ${line}`, () => assert.notEqual(clientOf(line.split(" ")), "Holdfast's gateway"));
});
