/** A report from a stand-in for Linux says so. */
import assert from "node:assert/strict";
import { it } from "node:test";
import { subsystemOf } from "../../src/platform/linux/witness.ts";

it("names WSL2 and WSL by the release of their kernels, and no other Linux", () => {
  const named = {
    "5.15.167.4-microsoft-standard-WSL2": "WSL2",
    "6.6.87.2-microsoft-standard-WSL2+": "WSL2",
    "4.4.0-19041-Microsoft": "WSL",
    "6.18.5": undefined,
    "6.12.9-amd64": undefined,
  };
  for (const [release, name] of Object.entries(named)) assert.equal(subsystemOf(release), name, release);
});
