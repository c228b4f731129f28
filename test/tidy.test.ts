/** The rules of STYLE.md that a program can hold, on every file of the project; and each rule on a sample that breaks it. */
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync, readdirSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, it } from "node:test";
import { fileURLToPath } from "node:url";
import { circlesIn } from "./tidy/circles.ts";
import { roomOf, rules } from "./tidy/rules.ts";
import { ofTheProcess, stateIn } from "./tidy/state.ts";
import { neighbour, stateSamples } from "./tidy/state-samples.ts";

const root = fileURLToPath(new URL("..", import.meta.url));
const patterns = [
  "{src,test,demo,bench,scripts}/**/*.{ts,sh}",
  "docs/*.md",
  "examples/*",
  "*.{md,json}",
  ".ci/run",
  ".ox*.json",
];

const files = globSync(patterns, { cwd: root, exclude: (path) => path.split("/").includes("node_modules") })
  .filter((path) => !path.endsWith("package-lock.json"))
  .toSorted()
  .map((path) => ({ path, text: readFileSync(join(root, path), "utf8") }));

/** Pages about something that is no room of src/. */
const otherPages = ["clients", "api", "benchmarks", "errors", "events", "platforms"];

/** What links to a page's headings end in, as the forges derive it. */
function headingsOf(text: string): Set<string> {
  const prose = text.replaceAll(/```[\s\S]*?```/g, "");
  const headings = [...prose.matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => heading.trim().toLowerCase());
  return new Set(headings.map((heading) => heading.replaceAll(/[^\p{L}\p{N}\- _]/gu, "").replaceAll(" ", "-")));
}

describe("the house is tidy", () => {
  it("and all of it is looked at", () => {
    for (const room of ["src/platform", "src/gateway", "test/helpers", "bench", "docs"]) {
      assert.ok(
        files.some(({ path }) => path.startsWith(`${room}/`)),
        room,
      );
    }
  });

  for (const { name, applies, breaches, samples } of rules) {
    it(name, () => {
      for (const sample of samples) {
        assert.ok(applies(sample.path), `the rule does not look at ${sample.path}`);
        assert.notEqual(breaches(sample).length, 0, `the rule does not see: ${sample.text}`);
      }
      const found = files
        .filter(({ path }) => applies(path))
        .flatMap((file) => breaches(file).map((breach) => `${file.path}: ${breach}`));
      assert.deepEqual(found, []);
    });
  }

  it("no circle of files, type imports counted", () => {
    const sample = [
      { path: "src/a/x.ts", text: 'import { y } from "./y.ts";\n' },
      { path: "src/a/y.ts", text: 'export type { Z } from "../b/z.ts";\n' },
      { path: "src/b/z.ts", text: 'import type { X } from "../a/x.ts";\n' },
      { path: "src/b/outside.ts", text: 'import "../a/x.ts";\n' },
    ];
    assert.deepEqual(circlesIn(sample), ["src/a/x.ts, src/a/y.ts, src/b/z.ts"], "the rule does not see a circle");
    assert.deepEqual(circlesIn(files.filter(({ path }) => path.startsWith("src/"))), []);
  });

  it("no module holds state that changes", () => {
    for (const { text, isState } of stateSamples) {
      const sample = [
        { path: "src/a/x.ts", text },
        { path: "src/a/y.ts", text: neighbour },
      ];
      assert.equal(stateIn(sample, {}).length > 0, isState, `the rule sees wrongly: ${text}`);
    }
    assert.deepEqual(stateIn([], { "src/a/x.ts": ["gone", "no longer there"] }).length, 1, "a needless exception");
    assert.deepEqual(
      stateIn(
        files.filter(({ path }) => /^src\/.*\.ts$/.test(path)),
        ofTheProcess,
      ),
      [],
    );
  });

  it("every room has a page, and every page a room", () => {
    const rooms = new Set(files.filter(({ path }) => path.startsWith("src/")).map(({ path }) => roomOf(path)));
    rooms.delete("");
    rooms.delete("platform/self"); // told on the whole room's page
    const pages = readdirSync(join(root, "docs"))
      .filter((name) => name.endsWith(".md"))
      .map((name) => name.replace(/\.md$/, ""));
    assert.deepEqual(pages.toSorted(), [...rooms, ...otherPages].toSorted());
  });

  it("links between pages lead somewhere, and so do their fragments", () => {
    const pages = files.filter(({ path }) => path.endsWith(".md"));
    const broken = pages.flatMap(({ path, text }) =>
      [...text.matchAll(/\]\((?!https?:)([^)#\s]*)(?:#([^)\s]+))?\)/g)]
        .filter(([, target = "", fragment]) => {
          const file = target === "" ? path : posix.join(posix.dirname(path), target);
          const page = pages.find((other) => other.path === file);
          return (
            !existsSync(join(root, file)) || (fragment !== undefined && !headingsOf(page?.text ?? "").has(fragment))
          );
        })
        .map(([link]) => `${path}: ${link}`),
    );
    assert.deepEqual(broken, []);
  });
});
