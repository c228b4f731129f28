/** Merges several servers into one: prefixed lists, the union of capabilities, joined instructions. */
import type { ServerMetadata } from "../servers/catalog.ts";
import type { Item, ListName } from "../servers/handshake.ts";
import { fits, readable } from "./entries.ts";
import { mirroredParams, type MirroredParam } from "../wire/mirrored-params.ts";
import { repairSchema } from "./schemas.ts";
import { NameBook, type NamedItem } from "./names.ts";

/** Characters of instructions in all; each server gets at least an equal share. */
const instructionsMax = 16 * 1024;
/** Reported omissions. */
const unlistedMax = 50;
/** Cached views; sessions with the same servers share one. */
const viewsMax = 32;

export interface Part {
  server: string;
  metadata: ServerMetadata;
}

export interface Merged {
  capabilities: Record<string, unknown>;
  instructions: string | undefined;
  /** The `result` of each list request. */
  lists: Record<ListName, Buffer>;
  tools: NameBook;
  prompts: NameBook;
  /** Header parameters of tools that have any, by exposed name. */
  mirrored: Map<string, MirroredParam[]>;
  /** Which server a resource comes from. */
  origins: Map<string, string>;
  templates: { server: string; fits: (uri: string) => boolean }[];
  clashes: string[];
  /** Entries left out of the lists, and why. */
  unlisted: { server: string; error: string }[];
}

/** The merged views of one catalog. */
export class MergedViews {
  readonly #views = new Map<string, Merged>();

  /** The same object for the same metadata. */
  of(parts: Part[], isPrefixed: boolean): Merged {
    const key = `${String(isPrefixed)} ${parts.map(({ server, metadata }) => `${server}:${metadata.id}`).join(" ")}`;
    const known = this.#views.get(key);
    if (known !== undefined) return known;
    const merged = merge(parts, isPrefixed);
    this.#views.set(key, merged);
    const [oldest] = this.#views.keys();
    if (this.#views.size > viewsMax && oldest !== undefined) this.#views.delete(oldest);
    return merged;
  }
}

/** `isPrefixed` false: a single server keeps its names. */
export function merge(given: Part[], isPrefixed: boolean): Merged {
  const unlisted: Merged["unlisted"] = [];
  // A single server is responsible for its own lists.
  const parts = isPrefixed ? given.map((part) => ({ ...part, metadata: sift(part, unlisted) })) : given;
  const tools = new NameBook();
  const prompts = new NameBook();
  const named = (book: NameBook, list: "tools" | "prompts") =>
    each(parts, list).map(([server, item]) => (isPrefixed ? { ...item, name: expose(book, server, item) } : item));
  const toolList = named(tools, "tools");
  const promptList = named(prompts, "prompts");
  const origins = new Map<string, string>();
  const clashes: string[] = [];
  const resources = each(parts, "resources").filter(([server, { uri }]) => {
    const other = origins.get(String(uri));
    if (other === undefined) origins.set(String(uri), server);
    else clashes.push(`${String(uri)}: ${other} and ${server}; it is ${other}'s`);
    return other === undefined;
  });
  const templates = each(parts, "resourceTemplates");
  const mirrored = new Map<string, MirroredParam[]>();
  for (const { name, inputSchema } of toolList) {
    const params = mirroredParams(inputSchema);
    if (typeof params !== "string" && params.length > 0) mirrored.set(String(name), params);
  }
  const list = (name: ListName, items: unknown[]) => {
    const text = JSON.stringify({ [name]: items });
    return Buffer.from(isPrefixed ? wellFormed(text) : text);
  };
  return {
    capabilities: unionOf(parts),
    instructions: joinInstructions(parts),
    lists: {
      tools: list("tools", toolList),
      prompts: list("prompts", promptList),
      resources: list(
        "resources",
        resources.map(([, item]) => item),
      ),
      resourceTemplates: list(
        "resourceTemplates",
        templates.map(([, item]) => item),
      ),
    },
    tools,
    prompts,
    mirrored,
    origins,
    templates: templates.map(([server, item]) => ({
      server,
      fits: (uri) => fits(String(item["uriTemplate"]), uri),
    })),
    clashes: [...tools.clashes, ...prompts.clashes, ...clashes],
    unlisted,
  };
}

/** JSON without halves of characters, for which strict readers refuse the whole list: U+FFFD stands for each. */
function wellFormed(json: string): string {
  return json.replaceAll(/\\\\|\\ud[89a-f][0-9a-f]{2}/g, (found) => (found === "\\\\" ? found : "\u{fffd}"));
}

/** One server's metadata without entries that would make clients reject the merged lists. */
function sift({ server, metadata }: Part, unlisted: Merged["unlisted"]): ServerMetadata {
  const keep = (name: ListName) => {
    const found = readable(name, metadata.lists[name]);
    const kept =
      name === "tools"
        ? found.map((tool) => repaired(server, tool, unlisted)).filter((tool) => tool !== undefined)
        : found;
    const left = metadata.lists[name].length - kept.length;
    const why = "they are not what the protocol asks for, or the same again";
    if (left > 0)
      unlisted.push({ server, error: `${left} of ${metadata.lists[name].length} ${name} are left out: ${why}` });
    return kept;
  };
  const lists = {
    tools: keep("tools"),
    prompts: keep("prompts"),
    resources: keep("resources"),
    resourceTemplates: keep("resourceTemplates"),
  };
  return { ...metadata, lists };
}

/** A tool with schemas that every client can read; undefined: they are too large to check. */
function repaired(server: string, tool: Item, unlisted: Merged["unlisted"]): Item | undefined {
  const given = ["inputSchema", "outputSchema"].filter((key) => tool[key] !== undefined);
  const schemas = given.map((key) => [key, repairSchema(tool[key], key)] as const);
  if (schemas.some(([, schema]) => schema === undefined)) return undefined;
  const places = schemas.flatMap(([, schema]) => schema?.places ?? []);
  if (schemas.every(([key, schema]) => schema?.schema === tool[key])) return tool;
  const error = `tool ${JSON.stringify(tool["name"])}: ${places.join(", ")} left out, which JSON Schema does not allow as written`;
  if (places.length > 0 && unlisted.length < unlistedMax) unlisted.push({ server, error });
  return { ...tool, ...Object.fromEntries(schemas.map(([key, schema]) => [key, schema?.schema])) };
}

function each(parts: Part[], list: ListName): [server: string, item: Item][] {
  return parts.flatMap(({ server, metadata }) => metadata.lists[list].map((item): [string, Item] => [server, item]));
}

function expose(book: NameBook, server: string, { name }: Item): string {
  const item: NamedItem = { server, name: String(name) };
  return book.expose(item);
}

/** Lists may always change, since a server may come late. Omits what cannot be attributed to one server. */
function unionOf(parts: Part[]): Record<string, unknown> {
  const all = parts.map(({ metadata }) => metadata.initialize.capabilities);
  const has = (name: string) => all.some((capabilities) => capabilities[name] !== undefined);
  const subscribe = all.some((capabilities) => (capabilities["resources"] as Item | undefined)?.["subscribe"] === true);
  return {
    tools: { listChanged: true },
    ...(has("prompts") ? { prompts: { listChanged: true } } : {}),
    ...(has("resources") ? { resources: { listChanged: true, ...(subscribe ? { subscribe } : {}) } } : {}),
    ...(has("logging") ? { logging: {} } : {}),
    ...(has("completions") ? { completions: {} } : {}),
  };
}

function joinInstructions(parts: Part[]): string | undefined {
  const spoken = parts.filter(({ metadata }) => (metadata.initialize.instructions ?? "") !== "");
  if (spoken.length === 0) return undefined;
  const share = Math.floor(instructionsMax / spoken.length);
  const between = "\n\n";
  const texts = spoken.map(({ server, metadata }) => {
    const text = metadata.initialize.instructions ?? "";
    const head = `# ${server} (its tools begin with ${server}__)\n`;
    const note = `\n[cut here: ${text.length} characters in all]`;
    const room = share - head.length - between.length;
    return text.length <= room ? head + text : head + text.slice(0, Math.max(0, room - note.length)) + note;
  });
  return texts.join(between).toWellFormed(); // a cut may part the two halves of a character
}
