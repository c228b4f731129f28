/** Puts `holdfast run --` before the stdio servers of one file, editing only `command` and `args`. */
import { existsSync, statSync } from "node:fs";
import { HoldfastError } from "../../errors.ts";
import { at, isSameMeaning, meaningOf, type Document, type Entry, type Language } from "./document.ts";
import { baseName, wrapperLength, type Words } from "./prefix.ts";
import { applyEdits, type Edit, memberOf, valueOf, type Member } from "./tree.ts";
import { isWayIn, wayInNote } from "./way-in.ts";

/** The outcome for one server. */
export interface Finding {
  name: string;
  /** `changed` and `unchanged` by this change; `left` = skipped for the reason in `note`. */
  state: "changed" | "unchanged" | "left";
  note?: string;
}

export interface Change {
  edits: Edit[];
  after: string;
  findings: Finding[];
}

/** A stdio server of the file; a string says why it cannot be changed. */
interface Stdio {
  words: Words;
  command: Member;
  args: Member | undefined;
}

const urlKeys = ["url", "httpUrl", "serverUrl"];
const stdioTypes = new Set(["stdio", "local"]);

export function stdioOf(entry: Entry): Stdio | string {
  const remote = urlKeys.find((key) => memberOf(entry.node, key) !== undefined);
  const type = memberOf(entry.node, "type") ?? memberOf(entry.node, "transport");
  const kind = type?.value.kind === "string" ? type.value.value : undefined;
  const command = memberOf(entry.node, "command");
  if (command === undefined || (kind !== undefined && !stdioTypes.has(kind)))
    return remote === undefined && kind === undefined
      ? "it has no command"
      : "it is a remote server, nothing to hold here";
  const args = memberOf(entry.node, "args");
  if (command.value.kind !== "string") return "its command is not text";
  const list = args === undefined ? [] : valueOf(args.value);
  if (!Array.isArray(list) || !list.every((word) => typeof word === "string"))
    return "its args are not a list of texts";
  return { words: { command: command.value.value, args: list }, command, args };
}

export function fullName(path: readonly string[]): string {
  return path.map((key) => (/[.\s]/.test(key) ? JSON.stringify(key) : key)).join(".");
}

/** A whole command line in `command`: only some clients split it, and Holdfast would look for a program with that name. */
export function isCommandLine(command: string): boolean {
  const [program = "", ...rest] = command.trim().split(/\s/);
  if (rest.length === 0 || existsSync(command)) return false;
  // A path with spaces that is missing here may exist on the file's machine.
  return !/[\\/]/.test(program) || statSync(program, { throwIfNoEntry: false })?.isFile() === true;
}

export const commandLineNote =
  "its command is a whole command line; write the program into command and the rest into args";

/** A note for a person about a server that is wrapped anyway. */
function noteOf(entry: Entry, { command }: Words): string | undefined {
  const program = baseName(command);
  const notes: string[] = [];
  if (program === "ssh") notes.push("ssh: the local side is held, what runs on the other machine is not");
  if (program === "docker" || program === "podman")
    notes.push(`${program}: the container belongs to its daemon, only the local program is held`);
  const isOff = (key: string, value: boolean) => {
    const node = memberOf(entry.node, key)?.value;
    return node?.kind === "other" && String(node.value) === String(value);
  };
  if (isOff("disabled", true) || isOff("enabled", false)) notes.push("disabled in the client");
  return notes.length === 0 ? undefined : notes.join("; ");
}

/** Wraps every suitable server; `prefix` = Holdfast's own words, without `run --`. */
export function wrapDocument(document: Document, prefix: readonly string[]): Change {
  const edits: Edit[] = [];
  const findings: Finding[] = document.oddEntries.map((path) => ({
    name: fullName(path),
    state: "left",
    note: "it is not an object",
  }));
  const expected: [string[], Words][] = [];
  for (const entry of document.entries) {
    const name = fullName(entry.path);
    const stdio = stdioOf(entry);
    if (typeof stdio === "string") {
      findings.push({ name, state: "left", note: stdio });
      continue;
    }
    const { words } = stdio;
    if (wrapperLength([words.command, ...words.args]) !== undefined) {
      findings.push({ name, state: "unchanged", note: "wrapped already" });
      continue;
    }
    if (isWayIn([words.command, ...words.args])) {
      findings.push({ name, state: "left", note: `${wayInNote}, nothing to hold here` });
      continue;
    }
    if (/^cmd(?:\.exe)?$/i.test(baseName(words.command))) {
      findings.push({
        name,
        state: "left",
        note: "cmd is a Windows shell, and Holdfast does not hold trees on Windows yet",
      });
      continue;
    }
    if (isCommandLine(words.command)) {
      findings.push({ name, state: "left", note: commandLineNote });
      continue;
    }
    const [command = "", ...script] = prefix;
    const before = [...script, "run", "--"];
    edits.push(...wrapEdits(document, stdio, command, before));
    expected.push([entry.path, { command, args: [...before, words.command, ...words.args] }]);
    const note = noteOf(entry, words);
    findings.push({ name, state: "changed", ...(note === undefined ? {} : { note }) });
  }
  return { edits, after: checked(document, edits, expected), findings };
}

/** Applies the edits and verifies by the library that the result has the intended meaning and no other change. */
export function checked(
  { text, language }: { text: string; language: Language },
  edits: readonly Edit[],
  expected: readonly (readonly [string[], { command: string; args: string[] | undefined }])[],
): string {
  const after = applyEdits(text, edits);
  if (edits.length === 0) return after;
  const wanted = meaningOf(text, language);
  for (const [path, { command, args }] of expected) {
    const server = at(wanted, path) as Record<string, unknown>;
    server["command"] = command;
    if (args === undefined) delete server["args"];
    else server["args"] = args;
  }
  if (means(after, language, wanted)) return after;
  throw new HoldfastError(
    "client_config_invalid",
    "the change would not mean what it should, so it is not made; this is a defect of Holdfast, change the file by hand",
  );
}

/** False also for a text that is no longer of the language. */
export function means(text: string, language: Language, wanted: unknown): boolean {
  try {
    return isSameMeaning(meaningOf(text, language), wanted);
  } catch {
    return false;
  }
}

/** JSON strings are valid TOML, except for the one character that JSON leaves unescaped. */
export function quoted(text: string): string {
  return JSON.stringify(text).replaceAll("\u007F", String.raw`\u007f`);
}

/** Moves the command's own text, unchanged, to the place after `--`. */
function wrapEdits(document: Document, { command, args }: Stdio, program: string, before: string[]): Edit[] {
  const { text } = document;
  const old = text.slice(command.value.start, command.value.end);
  const first: Edit = { start: command.value.start, end: command.value.end, text: quoted(program) };
  const words = [...before.map(quoted), old];
  if (args?.value.kind === "array") {
    const [next] = args.value.items;
    if (next === undefined) {
      const inside = args.value.start + 1;
      return [first, { start: inside, end: inside, text: words.join(", ") }];
    }
    // In the list's layout: one word per line, or all on one.
    const blank = /\s*$/.exec(text.slice(args.value.start + 1, next.start))?.[0] ?? "";
    const comma = blank.includes("\n") ? `,${blank}` : ", ";
    return [first, { start: next.start, end: next.start, text: words.join(comma) + comma }];
  }
  return [{ ...first, text: first.text + addedMember(document, command, "args", `[${words.join(", ")}]`) }];
}

/** A member after another one, in the same layout. */
function addedMember({ text, language }: Document, after: Member, name: string, value: string): string {
  const { keySpan, lastPartStart } = after;
  const quote = /["']/.exec(text[lastPartStart] ?? "")?.[0] ?? "";
  const between = text
    .slice(keySpan.end, after.value.start)
    .replaceAll(/\/\*.*?\*\/|\/\/[^\n\r\u2028\u2029]*(?:\r\n|[^])/gs, "");
  const key = text.slice(keySpan.start, lastPartStart) + quote + name + quote + between;
  let lineStart = keySpan.start;
  while (lineStart > 0 && /[ \t\uFEFF]/.test(text[lineStart - 1] ?? "")) lineStart -= 1;
  if (lineStart > 0 && text[lineStart - 1] !== "\n") return `, ${key}${value}`;
  const lineEnd = text[lineStart - 2] === "\r" ? "\r\n" : "\n";
  const blank = text.slice(lineStart, keySpan.start).replace("\uFEFF", "");
  return `${language === "toml" ? "" : ","}${lineEnd}${blank}${key}${value}`;
}
