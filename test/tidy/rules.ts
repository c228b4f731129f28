/** The rules of the house that a program can hold. Each finds its breaches in one file, and has a sample that breaks it. */
import { posix } from "node:path";
import { idiomsOf, idiomsOfPage } from "./idioms.ts";
import { timeRule } from "./time.ts";

export interface SourceFile {
  /** From the root of the project, with forward slashes. */
  path: string;
  text: string;
}

export interface Rule {
  name: string;
  applies: (path: string) => boolean;
  /** What is wrong, one line each; empty = nothing. */
  breaches: (file: SourceFile) => string[];
  /** Files that break the rule, so that it is known to be able to fail. */
  samples: SourceFile[];
}

const linesMax = 300;

/** Files that may be longer than the limit, with the reason. */
const longFiles: Record<string, string> = {};

/** Which rooms a room may import from: all of them stand below it. Every room may import itself and the loose files of src/. */
const below: Record<string, string[]> = {
  cli: ["client", "config", "platform", "platform/self", "doctor", "keeper", "protocol", "nodes", "oauth", "selftest"],
  selftest: ["client", "platform", "platform/self", "keeper"],
  gateway: ["protocol", "mcp", "nodes", "ownership", "runs", "sessions", "platform/self"],
  nodes: ["protocol", "platform/self"],
  client: ["protocol", "platform/self"],
  mcp: ["protocol", "nodes", "oauth", "ownership", "runs", "sessions"],
  runs: ["protocol", "ownership", "sessions", "platform/self"],
  sessions: ["protocol", "ownership"],
  ownership: ["protocol"],
  keeper: ["config", "platform", "platform/self", "protocol", "ssh"],
  ssh: ["platform"],
  library: ["platform", "platform/self"],
  doctor: ["platform", "platform/self"],
  protocol: [],
  "platform/self": ["platform"],
  platform: [],
  config: ["platform"],
  oauth: ["platform/self"],
};

/** Imports that are for the shape of an answer only, and must not load what makes it. */
const typesOnly = new Set(["client protocol"]);

/** Loose files of src/ that are doors into the house: nobody imports them but who is named. */
const doors: Record<string, string[]> = {
  "src/main.ts": [],
  "src/index.ts": [],
  "src/cli/command-line.ts": ["src/main.ts"],
};

const frontRooms = new Set(["gateway", "mcp", "oauth", "runs", "sessions", "ownership", "client", "nodes", "protocol"]);
/** What only the platform may name: tables, addons, shells, signal numbers, bare pids, and the backends themselves. */
const operatingSystem =
  /\/proc\b|\bkoffi\b|\/bin\/(?:ba|da)?sh\b|\bprocess\.(?:kill|platform|execve)\b|\bchild_process\b|\bconstants\.signals\b|platform\/(?:linux|windows|darwin|simulated)\//g;

const isTypeScript = (path: string) => path.endsWith(".ts");
const inSource = (path: string) => path.startsWith("src/") && isTypeScript(path);

/** The check itself, which an old Node.js must be able to read. */
const versionCheck = new Set(["src/node-version.ts", "src/require-node.ts"]);

/** `src/platform/self/index.ts` → `platform/self`; the loose files of src/ are in the room "". */
export function roomOf(path: string): string {
  const directory = posix.dirname(path).replace(/^src\/?/, "");
  return directory === "platform/self" ? directory : (directory.split("/")[0] ?? "");
}

interface Import {
  target: string;
  isType: boolean;
  isDynamic: boolean;
}

export function importsOf(text: string): Import[] {
  const found: Import[] = [];
  for (const [, words = "", target = ""] of text.matchAll(/^(?:import|export)\s+([^"';]*?)from\s+"([^"]+)"/gm)) {
    found.push({ target, isType: words.startsWith("type "), isDynamic: false });
  }
  for (const [, target = ""] of text.matchAll(/^import\s+"([^"]+)"/gm))
    found.push({ target, isType: false, isDynamic: false });
  for (const [, target = ""] of text.matchAll(/\b(?:import|require)\(\s*"([^"]+)"/g)) {
    found.push({ target, isType: false, isDynamic: true });
  }
  return found;
}

/** The text without what is inside strings and comments. */
function codeOf(text: string): string {
  return text.replaceAll(/"(?:\\.|[^"\\\n])*"|`(?:\\.|[^`\\])*`|\/\*[\s\S]*?\*\/|\/\/[^\n]*/g, '""');
}

function matches(text: string, pattern: RegExp, what: string): string[] {
  return [...text.matchAll(pattern)].map(({ index }) => `line ${text.slice(0, index).split("\n").length}: ${what}`);
}

function wrongImports({ path, text }: SourceFile): string[] {
  const room = roomOf(path);
  return importsOf(text).flatMap(({ target, isType }) => {
    if (!target.startsWith(".")) return [];
    const file = posix.join(posix.dirname(path), target);
    const door = doors[file];
    if (door !== undefined) return door.includes(path) ? [] : [`${file} is a door, not a room`];
    const other = roomOf(file);
    if (room === "" || other === "" || other === room) return [];
    if (below[room]?.includes(other) !== true) return [`${room} imports ${other} (${target})`];
    if (typesOnly.has(`${room} ${other}`) && !isType)
      return [`${room} may import types only from ${other} (${target})`];
    return [];
  });
}

const importRules: Rule[] = [
  {
    name: "imports point down only",
    applies: inSource,
    breaches: wrongImports,
    samples: [
      { path: "src/mcp/a.ts", text: 'import { Ledger } from "../keeper/ledger.ts";\n' },
      { path: "src/platform/a.ts", text: 'import {\n  Run,\n  type RunParts,\n} from "../keeper/run.ts";\n' },
      { path: "src/keeper/a.ts", text: 'const { run } = await import("../cli/run.ts");\n' },
      { path: "src/client/a.ts", text: 'import { HttpFace } from "../gateway/server.ts";\n' },
      { path: "src/keeper/a.ts", text: 'import { runCommandLine } from "../cli/command-line.ts";\n' },
    ],
  },
  {
    name: "front code starts nothing and loads no addon",
    applies: (path) => inSource(path) && frontRooms.has(roomOf(path)),
    breaches: ({ text }) =>
      matches(
        text,
        /"(koffi|node:child_process|child_process|node:worker_threads|node:cluster)"/g,
        "Node refuses this",
      ),
    samples: [
      { path: "src/gateway/a.ts", text: 'const koffi = createRequire(import.meta.url)("koffi");\n' },
      { path: "src/mcp/a.ts", text: 'import { Worker } from "node:worker_threads";\n' },
    ],
  },
  {
    name: "only platform/ knows the operating system",
    // Shell text that is sent to other machines is no business of this machine's platform.
    applies: (path) => inSource(path) && !path.startsWith("src/platform/") && !path.startsWith("src/ssh/remote/"),
    breaches: ({ text }) => matches(text, operatingSystem, "knowledge of an operating system"),
    samples: [
      'import { spawn } from "node:child_process";',
      'createRequire(import.meta.url)("koffi");',
      'readFileSync("/proc/self/stat");',
      "readFileSync(`/proc/${pid}/stat`);",
      "// field 22 of /proc/<pid>/stat",
      'const words = ["/bin/sh", "-c", line];',
      "process.kill(pid, 0);",
      "128 + constants.signals.SIGTERM;",
      'if (process.platform === "linux") a();',
      'import { readProcess } from "../platform/linux/processes.ts";',
    ].map((text) => ({ path: "src/keeper/a.ts", text: `${text}\n` })),
  },
  {
    name: "nothing is loaded before the version check",
    applies: (path) => path === "src/main.ts" || versionCheck.has(path),
    breaches: ({ path, text }) => [
      ...importsOf(text)
        .filter(({ isDynamic }) => !isDynamic)
        .filter(({ target }) => path === "src/node-version.ts" || target !== "./node-version.ts")
        .map(({ target }) => `imports ${target}`),
      ...matches(text.split("process.exit(1)")[0] ?? "", /\bimport\(/g, "imports before the check"),
    ],
    samples: [
      { path: "src/main.ts", text: 'import { join } from "node:path";\nprocess.exit(1);\n' },
      { path: "src/main.ts", text: 'await import("./cli/report.ts");\nprocess.exit(1);\n' },
      { path: "src/require-node.ts", text: 'import { HoldfastError } from "./errors.ts";\n' },
      { path: "src/node-version.ts", text: 'import "./node-version.ts";\n' },
    ],
  },
  {
    name: "what other programs import checks the version first",
    applies: (path) => path === "src/index.ts" || path === "src/client/index.ts",
    breaches: ({ text }) =>
      /^\/\*\*.*\*\/\nimport "\.{1,2}\/require-node\.ts";\n/.test(text) ? [] : ["no check first"],
    samples: [{ path: "src/index.ts", text: '/** a */\nexport { a } from "./a.ts";\nimport "./require-node.ts";\n' }],
  },
  {
    name: "node:http is not imported but for types: its named exports load undici, 16 MB and 50 ms of every start",
    applies: (path) => isTypeScript(path) && /^(?:src|test\/helpers)\//.test(path),
    breaches: ({ text }) =>
      matches(text, /^import (?!type\b)[^;]*"node:http"|\bimport\("node:http"\)/gm, "use process.getBuiltinModule"),
    samples: [
      { path: "src/gateway/a.ts", text: 'import { STATUS_CODES, type Server } from "node:http";\n' },
      { path: "test/helpers/a.ts", text: 'import http from "node:http";\n' },
    ],
  },
  {
    name: "relative imports end in .ts",
    applies: isTypeScript,
    breaches: ({ text }) =>
      importsOf(text)
        .filter(({ target }) => target.startsWith(".") && !/\.(ts|json)$/.test(target))
        .map(({ target }) => target),
    samples: [{ path: "src/a.ts", text: 'import { a } from "./b.js";\n' }],
  },
];

const formRules: Rule[] = [
  {
    name: `files have at most ${linesMax} lines`,
    applies: (path) => /\.(ts|sh)$/.test(path) && longFiles[path] === undefined,
    breaches: ({ text }) => {
      const lines = text.trimEnd().split("\n").length;
      return lines > linesMax ? [`${lines} lines`] : [];
    },
    samples: [{ path: "src/a.ts", text: "a;\n".repeat(linesMax + 1) }],
  },
  {
    name: "a source file begins with what it is for",
    applies: inSource,
    breaches: ({ text }) => (/^(#!.*\n)?\/\*\*/.test(text) ? [] : ["the first line is no comment"]),
    samples: [{ path: "src/a.ts", text: 'import "./b.ts";\n' }],
  },
  {
    name: "nothing is left to do",
    applies: (path) => !path.startsWith("test/tidy/"),
    breaches: ({ text }) => matches(text, /\b(TODO|FIXME|XXX)\b/g, "an unfinished word"),
    samples: [{ path: "src/a.ts", text: "// TODO later\n" }],
  },
  {
    name: "no any",
    applies: (path) => isTypeScript(path) && !path.startsWith("test/tidy/"),
    breaches: ({ text }) => matches(codeOf(text), /(?<![.\w])any\b(?!\s*[(:])/g, "any"),
    samples: [
      { path: "src/a.ts", text: "const a: any = 1;\n" },
      { path: "src/a.ts", text: "const a = b as any[];\n" },
    ],
  },
  {
    name: "only what type stripping can take away: no enum, namespace, parameter property, decorator",
    applies: isTypeScript,
    breaches: ({ text }) => {
      const code = codeOf(text);
      return [
        ...matches(code, /(?<![.\w])enum\s+\w+\s*\{/g, "an enum"),
        ...matches(code, /(?<![.\w])(?:namespace|module)\s+\w+\s*\{/g, "a namespace"),
        ...matches(code, /constructor\s*\([^)]*\b(?:public|private|protected|readonly)\s+\w/g, "a parameter property"),
        ...matches(code, /^\s*@\w+/gm, "a decorator"),
      ];
    },
    samples: [
      { path: "src/a.ts", text: "export const enum A {}\n" },
      { path: "src/a.ts", text: "namespace A {}\n" },
      { path: "src/a.ts", text: "class A { constructor(private b: B) {} }\n" },
      { path: "src/a.ts", text: "@sealed\nclass A {}\n" },
    ],
  },
  {
    name: "no test is skipped without its reason, or runs alone",
    applies: (path) => path.startsWith("test/") && isTypeScript(path) && !path.startsWith("test/tidy/"),
    breaches: ({ text }) => [
      ...matches(text, /\b(?:test|it|describe|suite)\.(?:skip|todo|only)\b/g, "skip, todo or only"),
      ...matches(text, /\b(?:skip|todo|only):\s*true\b/g, "no reason"),
      ...matches(text, /\bt(?:est)?\.(?:skip|todo)\(\s*\)/g, "no reason"),
    ],
    samples: [
      { path: "test/a.test.ts", text: 'it.skip("a", () => {});\n' },
      { path: "test/a.test.ts", text: 'it("a", { skip: true }, () => {});\n' },
    ],
  },
  {
    name: "what a person reads is plain English: no negated nouns, no private idioms",
    applies: inSource,
    breaches: ({ text }) => idiomsOf(text),
    samples: [
      { path: "src/a.ts", text: 'fail("x is no program");\n' },
      { path: "src/a.ts", text: "say(`nobody has ${it} any more`);\n" },
    ],
  },
  {
    name: "pages are plain English: no negated nouns, no private idioms",
    applies: (path) => path.endsWith(".md"),
    breaches: ({ text }) => idiomsOfPage(text),
    samples: [
      { path: "docs/a.md", text: "What is no number is refused.\n" },
      { path: "docs/a.md", text: "```\nsh\n```\n\nMeanwhile nobody waits.\n" },
    ],
  },
  {
    name: "no path of a person's machine",
    applies: (path) => !path.startsWith("test/tidy/"),
    breaches: ({ text }) =>
      matches(text, /(?<![\w.~}/-])\/(?:home|Users)\/(?!<|you\b|me\b)\w|(?<![\w.~}/-])\/root\//g, "a home directory"),
    samples: [{ path: "docs/a.md", text: "see /home/alice/holdfast\n" }],
  },
];

export const rules: Rule[] = [...importRules, ...formRules, timeRule];
