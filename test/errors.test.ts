/** The codes of errors are fixed: one table, and the docs page has the same. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { it } from "node:test";
import { errorCodes } from "../src/errors.ts";
import { root } from "./helpers/tiers.ts";

it("every error code is on the docs page once, and no other is", () => {
  const page = readFileSync(join(root, "docs/errors.md"), "utf8");
  const entries = [...page.matchAll(/^- ((?:`[a-z_]+`(?:, )?)+):/gm)].flatMap(([, codes = ""]) =>
    [...codes.matchAll(/`([a-z_]+)`/g)].map(([, code = ""]) => code),
  );
  assert.deepEqual(entries.toSorted(), Object.keys(errorCodes).toSorted());
});
