/** What several servers look like as one: their lists under names of ours, the union of what they can do, their instructions. */
import type { ServerFacts } from "../pool/catalog.ts";
import type { Item, ListName } from "../upstream/handshake.ts";
import { NameBook, type NamedItem } from "./names.ts";

/** Characters of instructions in all; each server gets an equal share of it at least. */
const instructionsMax = 16 * 1024;
/** Merged views that are kept; sessions with the same servers share one. */
const viewsMax = 32;

export interface Part {
  server: string;
  facts: ServerFacts;
}

export interface Merged {
  capabilities: Record<string, unknown>;
  instructions: string | undefined;
  /** The `result` of each list request. */
  lists: Record<ListName, Buffer>;
  tools: NameBook;
  prompts: NameBook;
  /** Which server a resource comes from. */
  origins: Map<string, string>;
  templates: { server: string; pattern: RegExp }[];
  clashes: string[];
}

const views = new Map<string, Merged>();

/** The same object for the same facts. `isPrefixed` false: the names of the one server stay as they are. */
export function merge(parts: Part[], isPrefixed: boolean): Merged {
  const key = `${String(isPrefixed)} ${parts.map(({ server, facts }) => `${server}:${facts.id}`).join(" ")}`;
  const known = views.get(key);
  if (known !== undefined) return known;
  const merged = build(parts, isPrefixed);
  views.set(key, merged);
  const [oldest] = views.keys();
  if (views.size > viewsMax && oldest !== undefined) views.delete(oldest);
  return merged;
}

function build(parts: Part[], isPrefixed: boolean): Merged {
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
  const list = (name: ListName, items: unknown[]) => Buffer.from(JSON.stringify({ [name]: items }));
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
    origins,
    templates: templates.map(([server, item]) => ({ server, pattern: templatePattern(String(item["uriTemplate"])) })),
    clashes: [...tools.clashes, ...prompts.clashes, ...clashes],
  };
}

function each(parts: Part[], list: ListName): [server: string, item: Item][] {
  return parts.flatMap(({ server, facts }) => facts.lists[list].map((item): [string, Item] => [server, item]));
}

function expose(book: NameBook, server: string, { name }: Item): string {
  const item: NamedItem = { server, name: String(name) };
  return book.expose(item);
}

/** Lists may always change, since a server may come late. What cannot be told apart between servers is not offered. */
function unionOf(parts: Part[]): Record<string, unknown> {
  const all = parts.map(({ facts }) => facts.initialize.capabilities);
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
  const spoken = parts.filter(({ facts }) => (facts.initialize.instructions ?? "") !== "");
  if (spoken.length === 0) return undefined;
  const share = Math.floor(instructionsMax / spoken.length);
  const texts = spoken.map(({ server, facts }) => {
    const text = facts.initialize.instructions ?? "";
    const kept = text.length <= share ? text : `${text.slice(0, share)}\n[cut here: ${text.length} characters in all]`;
    return `# ${server} (its tools begin with ${server}__)\n${kept}`;
  });
  return texts.join("\n\n");
}

/** `file:///{path}` as a pattern; an expression stands for anything, since a server may encode it as it likes. */
function templatePattern(template: string): RegExp {
  const literal = template.split(/\{[^}]*\}/).map((text) => text.replaceAll(/[\\^$.*+?()[\]{}|/]/g, "\\$&"));
  return new RegExp(`^${literal.join(".*")}$`, "s");
}
