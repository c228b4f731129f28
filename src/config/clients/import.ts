/** Converts one server of a client's config to the form of `holdfast.json`, and reports every omission. */
import { existsSync } from "node:fs";
import { isAbsolute } from "node:path";
import { isDeepStrictEqual } from "node:util";
import { describeIssues } from "../../plain-issues.ts";
import { parseServer } from "../server.ts";
import { at, meaningOf, type Document } from "./document.ts";
import { leftOutNote, renamedKey, sameKey, timeoutOf } from "./foreign-keys.ts";
import type { ClientName } from "./places.ts";
import { wrapperLength } from "./prefix.ts";
import { isWayIn, leadsTo, wayInNote } from "./way-in.ts";
import { commandLineNote, fullName, isCommandLine } from "./wrap.ts";

export type RawServer = Record<string, unknown>;

export interface Imported {
  name: string;
  /** Its path in the client's file. */
  path: string[];
  /** Undefined if refused. */
  server?: RawServer;
  /** The reason for a refusal. */
  refused?: string;
  /** Notes for a person: omitted keys, values with another meaning here. */
  notes: string[];
}

const editorVariable =
  /\$\{(?:input:|command:|config:|workspaceFolder|userHome|pathSeparator|cwd\}|\/\}|file|line|selected|execPath|default)/;

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Every server of a document, in order; names may repeat across projects. `gateway`: addresses of the importing gateway. */
export function importServers(
  document: Document,
  client: ClientName | undefined,
  gateway: readonly string[] = [],
): Imported[] {
  const meaning = meaningOf(document.text, document.language);
  const odd = document.oddEntries.map((path) => ({ path, refused: "it is not an object" }));
  const found = document.entries.map(({ path }) => ({ path, refused: undefined }));
  return [...found, ...odd].map(({ path, refused }) => {
    const name = path.at(-1) ?? "";
    if (refused !== undefined) return { name, path, refused, notes: [] };
    const raw = at(meaning, path);
    if (!isRecord(raw)) return { name, path, refused: "it is not an object", notes: [] };
    const taken = importServer(raw, document.file, client ?? (document.language === "toml" ? "codex" : undefined));
    const url = taken.server?.["url"];
    if (typeof url === "string" && leadsTo(url, gateway))
      return { name, path, refused: `${wayInNote}, no server`, notes: [] };
    return { name, path, ...taken };
  });
}

function importServer(raw: RawServer, file: string, client: ClientName | undefined): Omit<Imported, "name" | "path"> {
  const notes: string[] = [];
  const server = translateKeys(raw, notes, (value) => timeoutOf(value, raw, file, client));
  // Gemini uses httpUrl for the newer transport and url for the older one.
  if (client === "gemini" && "url" in raw) server["type"] = "sse";
  const refuse = (refused: string) => ({ refused, notes });
  const { command, args } = server;
  if (typeof command === "string" && Array.isArray(args)) {
    const words = [command, ...(args as string[])];
    if (isWayIn(words)) return refuse(`${wayInNote}, no server`);
    const length = wrapperLength(words);
    if (length !== undefined) [server["command"], server["args"]] = [words[length], words.slice(length + 1)];
  }
  if (typeof server["command"] === "string" && isCommandLine(server["command"])) return refuse(commandLineNote);
  const texts = JSON.stringify(server);
  const [foreign] = client === "codex" ? [] : (editorVariable.exec(texts) ?? []);
  if (foreign === "${input:")
    return refuse(
      "it asks a person for ${input:…}, which a gateway cannot; put the value into an environment variable and write ${NAME}",
    );
  if (foreign !== undefined) return refuse(`only the client can fill in ${foreign}…}; write the value itself`);
  if (client === "codex" && JSON.stringify(raw).includes("${"))
    notes.push("Codex passes ${…} on as it is, Holdfast fills it in");
  const [bare] = client === "gemini" ? (/\$[A-Za-z_]\w*/.exec(texts) ?? []) : [];
  if (bare !== undefined) return refuse(`${bare} is Gemini's; write \${${bare.slice(1)}}, which both fill in`);
  const plain = JSON.parse(texts.replaceAll(/\$\{env:([A-Za-z_]\w*)\}/g, "${$1}")) as RawServer;
  const checked = parseServer(plain);
  if ("server" in checked) return { server: plain, notes: [...notes, ...movingNotes(plain)] };
  return refuse(describeIssues(checked.issues).join("; "));
}

type ReadTimeout = (value: number) => { ms: number; note?: string };

function translateKeys(raw: RawServer, notes: string[], readTimeout: ReadTimeout): RawServer {
  const server: RawServer = {};
  // Keys are arbitrary, so the object has no prototype.
  const env = Object.create(null) as Record<string, unknown>;
  for (const [key, value] of Object.entries(raw)) {
    const [other, alike] = [renamedKey(key), sameKey(key)];
    if (other !== undefined && isNumeric(value)) server[other[0]] = Math.round(Number(value) * other[1]);
    else if (key === "timeout" && isNumeric(value)) {
      const { ms, note } = readTimeout(Number(value));
      server["requestTimeoutMs"] = ms;
      if (note !== undefined) notes.push(note);
    } else if (alike === "headers") server["headers"] = { ...(server["headers"] as object), ...(value as object) };
    else if (alike !== undefined) server[alike] = value;
    else if (key === "enabled" && typeof value === "boolean") server["enabled"] = value;
    else if (key === "disabled" && typeof value === "boolean") server["enabled"] = !value;
    else if (key === "env" && isRecord(value)) Object.assign(env, textsOf(value));
    else if (key === "env_vars" && Array.isArray(value) && value.every((one) => typeof one === "string"))
      for (const variable of value) env[variable] ??= `\${${variable}:-}`;
    else if (key === "bearer_token_env_var" && typeof value === "string") server["bearerTokenEnv"] = value;
    else if (key === "env_http_headers" && isRecord(value))
      server["headers"] = { ...(server["headers"] as object), ...variablesOf(value) };
    else if ((key === "type" || key === "transport") && value === "sse") server["type"] = "sse";
    else if (key === "type" || key === "transport") notes.push(...transportNote(value));
    else notes.push(leftOutNote(key));
  }
  if (server["enabled"] === true) delete server["enabled"];
  if (Object.keys(env).length > 0) server["env"] = env;
  return server;
}

function isNumeric(value: unknown): value is number | bigint {
  return typeof value === "number" || typeof value === "bigint";
}

/** A command implies stdio and a URL streamable HTTP; anything else gets a note. */
function transportNote(value: unknown): string[] {
  const isPlain = ["stdio", "local", "http", "streamable-http", "streamableHttp"].includes(String(value));
  return isPlain ? [] : [`the transport ${String(value)} was left out`];
}

/** Expands Codex's variable names to references. */
function variablesOf(names: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(Object.entries(names).map(([key, name]) => [key, `\${${String(name)}}`]));
}

function textsOf(values: Record<string, unknown>): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(values).map(([key, value]) => [
      key,
      typeof value === "number" || typeof value === "boolean" || typeof value === "bigint" ? String(value) : value,
    ]),
  );
}

/** The effect of an import on the existing servers. */
export interface ImportPlan {
  added: [string, RawServer][];
  /** With the name and content of an existing server. */
  present: Imported[];
  refused: Imported[];
  all: Imported[];
}

export function planImport(found: readonly Imported[], existing: Readonly<Record<string, unknown>>): ImportPlan {
  const plan: ImportPlan = { added: [], present: [], refused: [], all: [] };
  const taken = new Map<string, unknown>(Object.entries(existing));
  for (const one of found) {
    const { name, server } = one;
    plan.all.push(one);
    if (server === undefined) plan.refused.push(one);
    else if (!taken.has(name)) {
      plan.added.push([name, server]);
      taken.set(name, server);
    } else if (isDeepStrictEqual(normal(taken.get(name)), normal(server))) plan.present.push(one);
    else {
      const refused =
        "another server of that name is in the config already; `holdfast remove` that one, or rename this one";
      const conflict = { ...one, refused };
      plan.all[plan.all.length - 1] = conflict;
      plan.refused.push(conflict);
    }
  }
  return plan;
}

/** Fills in every default, so that two spellings of one server compare as equal. */
function normal(server: unknown): unknown {
  const parsed = parseServer(server);
  return "server" in parsed ? parsed.server : server;
}

export function describeImported({ path, refused, notes }: Imported, isPresent: boolean): string[] {
  const head = refused === undefined ? (isPresent ? "there already" : "taken over") : `refused: ${refused}`;
  // A server that stays in place lost nothing.
  const said = refused === undefined ? notes : [];
  return [`  ${fullName(path)}: ${head}`, ...said.map((note) => `    ${note}`)];
}

/** Notes about paths that differ once the gateway starts the server; none with unexpanded variables. */
function movingNotes(server: Readonly<Record<string, unknown>>): string[] {
  const { command, args, cwd } = server;
  if (typeof command !== "string" || JSON.stringify(server).includes("${")) return [];
  const directory = typeof cwd === "string" ? cwd : undefined;
  if (directory !== undefined && isAbsolute(directory)) return [];
  const words = Array.isArray(args) ? args.map(String) : [];
  const isProgram = command.includes("/") && !isAbsolute(command);
  const relative = directory ?? (isProgram ? command : words.find(isRelativePath));
  if (relative === undefined) return [];
  return [
    `${relative} is relative to where the client starts it, and would be to where the gateway runs; write the full path, or add "cwd"`,
  ];
}

/** Recognised by its dots, or because it exists. */
function isRelativePath(word: string): boolean {
  if (/^\.{1,2}(?:\/|$)/.test(word)) return true;
  return !isAbsolute(word) && !word.startsWith("-") && /[./]/.test(word) && existsSync(word);
}
