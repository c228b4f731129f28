/** Files that hold state, and files that do not, for the rule of state.ts. */

/** Stands beside each sample. */
export const neighbour = "export function makeCounter() {\n  let count = 0;\n  return () => count++;\n}\n";

export const stateSamples: readonly { text: string; isState: boolean }[] = [
  "let count = 0;\n",
  "export let last: string | undefined;\n",
  "const known = new Map<string, number>();\n",
  "const book = new WeakMap([[key, 1]]);\n",
  "const queue: string[] = [];\n",
  "const cache = { byName: new Map() };\n",
  'const known = new Set(["a"]);\nexport function see(name: string) {\n  known.add(name);\n}\n',
  'const words = ["a"];\nfunction next() {\n  return words.shift();\n}\n',
  'const words = ["a"];\nconst sorted = () => words!.sort();\n',
  "const limits = { most: 1 };\nfunction raise() {\n  limits.most++;\n}\n",
  "const limits = { most: 1 };\nfunction raise() {\n  [limits.most] = [2];\n}\n",
  "const limits = { a: { most: 1 } };\nfunction drop() {\n  delete limits.a.most;\n}\n",
  "const limits = { most: 1 };\nfunction raise() {\n  Object.assign(limits, { most: 2 });\n}\n",
  "function once() {\n  once.done = true;\n}\n",
  'import { words } from "./y.ts";\nwords.add(1);\n',
  'import { words } from "./y.ts";\nfunction learn() {\n  words.push("b");\n}\n',
  'import http from "node:http";\nfunction widen() {\n  http.globalAgent.maxSockets = 9;\n}\n',
  "function forget() {\n  delete process.env.HOME;\n}\n",
  'const words = ["a"];\nfunction give() {\n  fill(words);\n}\n',
  'export const words = ["a"];\n',
  "class Counter {\n  static #made = 0;\n}\n",
  "class Counter {\n  static readonly all = new Set();\n}\n",
  "class Counter {\n  static make() {\n    this.last = 1;\n  }\n}\n",
  "export const counter = new Counter();\n",
  "const next = (() => {\n  let count = 0;\n  return () => count++;\n})();\n",
  "function make() {\n  const seen = new Set();\n  return (x) => seen.add(x);\n}\nconst see = make();\n",
  'import { makeCounter } from "./y.ts";\nexport const next = makeCounter();\n',
  "const make = () => new Counter();\nexport const counter = make();\n",
  "function make() {\n  return { seen: new Map() };\n}\nconst { seen } = make();\n",
  'import { open } from "database";\nconst store = open();\n',
  "const scratch = Buffer.alloc(64);\n",
  "const word = /a/g;\nconst has = (text: string) => word.test(text);\n",
  "const word = /a/y;\nconst first = (text: string) => text.match(word);\n",
  'process.on("exit", () => {});\n',
]
  .map((text) => ({ text, isState: true }))
  .concat(
    [
      'const words = ["a"];\nconst has = (word: string) => words.includes(word) || [...words].length > 3;\n',
      "const none: ReadonlySet<string> = new Set();\nexport const fallback = none;\n",
      "const names = [1] as const;\nexport const given = { names };\n",
      "const count = 0;\nfunction f() {\n  let count = 1;\n  count++;\n}\n",
      "const words = [1];\nfunction f(words: number[]) {\n  words.push(2);\n}\n",
      "class Counter {\n  readonly #seen = new Set();\n  static of() {\n    const made = new Counter();\n    made.at = 1;\n    return made;\n  }\n  see(x: number) {\n    this.#seen.add(x);\n  }\n}\n",
      "function make() {\n  let count = 0;\n  return () => count++;\n}\nexport const both = () => make();\n",
      "const sum = [1, 2].map((n) => n + 1);\n",
      'const word = /a/g;\nconst clean = (text: string) => text.replaceAll(word, "b");\n',
      'import { z } from "zod";\nexport const shape = z.object({ a: z.string() }).strict();\n',
      "const empty = Buffer.alloc(0);\n",
    ].map((text) => ({ text, isState: false })),
  );
