/** A reporter for `node --test`: one JSON line for each test or suite that was skipped. */
import { relative } from "node:path";
import type { TestEvent } from "node:test/reporters";
import type { Skip } from "./skips.ts";

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    const { skip, name, file } = data;
    if (skip === undefined || skip === false) continue;
    const skipped: Skip = {
      file: relative(process.cwd(), file ?? ""),
      name,
      reason: typeof skip === "string" && skip !== "" ? skip : "no reason given",
    };
    yield `${JSON.stringify(skipped)}\n`;
  }
}
