/** Of a suite that runs inside: each test as one line of JSON. */
import type { EventData } from "node:test";

interface TestEvent {
  type: string;
  data: Partial<EventData.TestPass & EventData.TestFail>;
}

interface Line {
  readonly name: string;
  readonly nesting: number;
  readonly skip: string | false;
  readonly isSuite: boolean;
  /** Null: it passed. */
  readonly failure: string | null;
}

export default async function* report(events: AsyncIterable<TestEvent>): AsyncGenerator<string> {
  for await (const { type, data } of events) {
    if (type !== "test:pass" && type !== "test:fail") continue;
    const { name = "", nesting = 0, skip = false, details } = data;
    const error = type === "test:fail" ? (details as { error?: Error } | undefined)?.error : undefined;
    const cause = error?.cause;
    const text = cause instanceof Error ? (cause.stack ?? cause.message) : (error?.message ?? "");
    const line: Line = {
      name,
      nesting,
      skip: skip === true ? "without a reason" : skip,
      isSuite: (details as { type?: string } | undefined)?.type === "suite",
      failure: type === "test:fail" ? text : null,
    };
    yield `${JSON.stringify(line)}\n`;
  }
}

export type { Line };
