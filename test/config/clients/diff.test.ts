/** A change is shown as `diff` would print it: whoever applies what was shown gets what is written. Secrets are not shown. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeChange } from "../../../src/config/clients/diff.ts";
import { coverLine, coverWords } from "../../../src/config/clients/secrets.ts";
import { Random } from "../../mcp/helpers/random.ts";

/** As patch does it, strictly: every line of a hunk must be where the hunk says. */
function applyDiff(text: string, diff: readonly string[]): string {
  const old = text.split("\n");
  const result: string[] = [];
  let at = 0;
  let left = { old: 0, fresh: 0 };
  for (const line of diff) {
    const head = /^@@ -(\d+),(\d+) \+(\d+),(\d+) @@$/.exec(line);
    if (head !== null) {
      assert.deepEqual(left, { old: 0, fresh: 0 }, "the hunk before is as long as it says");
      const [first, oldCount, fresh, freshCount] = head.slice(1).map(Number) as [number, number, number, number];
      while (at < first - 1) result.push(old[at++] ?? "");
      assert.equal(result.length, fresh - 1, line);
      left = { old: oldCount, fresh: freshCount };
      continue;
    }
    if (line[0] !== "+") {
      assert.equal(line.slice(1), old[at], "the line that was there");
      at += 1;
      left.old -= 1;
    }
    if (line[0] !== "-") {
      result.push(line.slice(1));
      left.fresh -= 1;
    }
  }
  assert.deepEqual(left, { old: 0, fresh: 0 });
  return [...result, ...old.slice(at)].join("\n");
}

describe("a change that is shown", () => {
  const seed = Number(process.env["HOLDFAST_TEST_SEED"] ?? Math.floor(Math.random() * 2 ** 31));
  it(`applied by hand, makes the new text of the old one (seed ${seed})`, () => {
    const random = new Random(seed);
    for (let round = 0; round < 300; round += 1) {
      const before = Array.from({ length: 1 + (round % 40) }, () => random.pick(["a", "b", "c", "d", "e"]));
      const after = before.flatMap((line) =>
        random.pick([[line], [line], [line], [line], [], [line, "new"], ["other"], ["x", "y", line]]),
      );
      const [old, fresh] = [`${before.join("\n")}\n`, after.length === 0 ? "" : `${after.join("\n")}\n`];
      assert.equal(applyDiff(old, describeChange(old, fresh)), fresh, JSON.stringify({ round, before, after }));
    }
  });

  it("is shown whole when it is long, and in time", () => {
    const old = Array.from({ length: 30_000 }, (_, at) => `line ${at}`);
    const fresh = old.map((line, at) => (at % 10 === 5 ? `${line} changed` : line));
    const text = `${old.join("\n")}\n`;
    const diff = describeChange(text, `${fresh.join("\n")}\n`);
    assert.equal(applyDiff(text, diff), `${fresh.join("\n")}\n`);
    assert.deepEqual(describeChange(text, text), []);
  });
});

describe("what looks like a secret is covered", () => {
  it("in a config's lines, wherever servers take them", () => {
    for (const [line, shown, previous] of [
      ['"API_KEY": "s3cret", "A": "b"', '"API_KEY": "…", "A": "b"'],
      ['"args": ["postgresql://user:s3cret@host/db"]', '"args": ["postgresql://user:…@host/db"]'],
      ['"args": ["--header", "Authorization: Bearer s3cret"]', '"args": ["--header", "Authorization: Bearer …"]'],
      ['"X-Api-Key: s3cret",', '"X-Api-Key: …",'],
      ['"args": ["--api-key=s3cret", "--port=1"]', '"args": ["--api-key=…", "--port=1"]'],
      ['"args": ["--token", "s3cret", "rest"]', '"args": ["--token", "…", "rest"]'],
      ['"s3cret",', '"…",', '  "--access-token",'],
      ['args = ["-e", "GITHUB_TOKEN=s3cret"]', 'args = ["-e", "GITHUB_TOKEN=…"]'],
      ['"plain", "ghp_s3crets3cret"', '"plain", "…"'],
      ['"args": ["-y", "server-fs", "/tmp"]', '"args": ["-y", "server-fs", "/tmp"]'],
      ['"url": "https://host:8080/mcp"', '"url": "https://host:8080/mcp"'],
    ] as const)
      assert.equal(coverLine(line, previous), shown);
  });

  it("in a command line's words", () => {
    const words = ["x", "--token", "s3cret", "-e", "PASSWORD=s3cret", "https://u:s3cret@h/", "--token", "--verbose"];
    assert.deepEqual(coverWords(words), [
      "x",
      "--token",
      "…",
      "-e",
      "PASSWORD=…",
      "https://u:…@h/",
      "--token",
      "--verbose",
    ]);
  });
});
