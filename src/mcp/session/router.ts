/** Chooses the server for each request of an aggregate session, and the names in it to restore. */
import type { TokenScope } from "../../protocol/keeper/front-config.ts";
import { readEnvelope, type Envelope } from "../wire/envelope.ts";
import { unknownFault } from "../wire/faults.ts";
import { asciiText, rpcCode, type RpcFault } from "../wire/json-rpc.ts";
import type { Binding } from "../servers/binding.ts";
import type { Edit } from "../wire/splice.ts";
import type { OwnTools } from "../tools/own-tools.ts";
import type { OwnTool } from "../tools/tool.ts";
import type { ListName } from "../servers/handshake.ts";
import type { Merged } from "./merge.ts";
import { splitName, type NamedItem } from "./names.ts";
import type { MergedCatalog } from "./merged-catalog.ts";
import type { Bindings } from "./bindings.ts";

/** Goes to one server, with these edits. */
export interface Forward {
  forward: Binding;
  envelope: Envelope;
  body: Buffer;
  edits: Edit[];
}

/** What to do with a request. */
export type Decision =
  | { answer: Buffer | string }
  | { refuse: RpcFault }
  | Forward
  /** Each of these servers may have the resource. */
  | { search: Binding[]; uri: string }
  /** A tool of Holdfast's own. */
  | { own: OwnTool }
  | { logLevel: string };

const listsByMethod = new Map<string, ListName>([
  ["tools/list", "tools"],
  ["prompts/list", "prompts"],
  ["resources/list", "resources"],
  ["resources/templates/list", "resourceTemplates"],
]);
const noScopes: ReadonlySet<TokenScope> = new Set();
/** How the list of all servers' tools begins. */
const listHead = '{"tools":[';

export interface RouterParts {
  bindings: Bindings;
  mergedCatalog: MergedCatalog;
  tools: OwnTools;
  isPrefixed: boolean;
}

export class Router {
  readonly #parts: RouterParts;

  constructor(parts: RouterParts) {
    this.#parts = parts;
  }

  /** `scopes`: of the caller's token. Rejects with the reason when a required server is unavailable. */
  route(envelope: Envelope, body: Buffer, scopes = noScopes): Decision | Promise<Decision> {
    const { method } = envelope;
    const { bindings, isPrefixed } = this.#parts;
    if (method === "ping") return { answer: "{}" };
    const level = method === "logging/setLevel" ? this.#logLevel(body) : undefined;
    if (level !== undefined) return level;
    const [only] = bindings.all;
    if (!isPrefixed && only !== undefined) return this.#toOnly(only, envelope, body);
    const list = listsByMethod.get(method);
    if (list === "tools") return this.#tools(scopes);
    if (list !== undefined) return this.#list(list);
    switch (method) {
      case "tools/call":
        return this.#byName(envelope, body, "tools", scopes);
      case "prompts/get":
        return this.#byName(envelope, body, "prompts", scopes);
      case "resources/read":
      case "resources/subscribe":
      case "resources/unsubscribe":
        return this.#byUri(envelope, body);
      case "completion/complete":
        return this.#complete(body);
      default: {
        const message = `${method} is not offered on /mcp; at /mcp/<server> everything goes to that server`;
        return { refuse: { code: rpcCode.methodUnknown, message, reason: "method_unknown" } };
      }
    }
  }

  // ── lists ──

  /** The answer to a list request, from the merged catalog. */
  async #list(name: ListName): Promise<Decision> {
    return { answer: (await this.#parts.mergedCatalog.merged()).lists[name] };
  }

  /** Holdfast's own tools for this caller, then those of the servers. */
  async #tools(scopes: ReadonlySet<TokenScope>): Promise<Decision> {
    const own = this.#parts.tools.for(scopes);
    const { tools } = (await this.#parts.mergedCatalog.merged()).lists;
    if (own.length === 0) return { answer: tools };
    const shown = own.map(({ name, description, inputSchema, annotations }) =>
      JSON.stringify({ name, description, inputSchema, annotations }),
    );
    const rest = tools.subarray(listHead.length);
    const comma = rest.length > "]}".length ? "," : "";
    return { answer: Buffer.concat([Buffer.from(`${listHead}${shown.join(",")}${comma}`), rest]) };
  }

  /** One server under its own names: everything is its own, but a known list needs no start. */
  #toOnly(binding: Binding, envelope: Envelope, body: Buffer): Decision | Promise<Decision> {
    const list = listsByMethod.get(envelope.method);
    const isCold = binding.ready() === undefined;
    const capability = list === "resourceTemplates" ? "resources" : (list ?? "");
    const isOffered = binding.metadata?.initialize.capabilities[capability] !== undefined;
    // A cursor always belongs to the server.
    const isFirstPage = list !== undefined && !body.includes('"cursor"');
    if (isCold && isFirstPage && isOffered) return this.#list(list);
    return { forward: binding, envelope, body, edits: [] };
  }

  // ── tools and prompts ──

  #byName(
    envelope: Envelope,
    body: Buffer,
    kind: "tools" | "prompts",
    scopes: ReadonlySet<TokenScope>,
  ): Decision | Promise<Decision> {
    if (envelope.nameStart === 0) return refuse("params.name is missing", "it names what to call");
    const exposed = text(body, envelope.nameStart, envelope.nameEnd);
    // Prefixed server tools contain `__`, own tools never do.
    const own = kind === "tools" ? this.#parts.tools.find(exposed, scopes) : undefined;
    if (own !== undefined) return { own };
    const item = this.#parts.mergedCatalog.now()[kind].resolve(exposed);
    if (item !== undefined) return this.#toNamed(item, envelope, body);
    return this.#byUnlistedName(exposed, envelope, body, kind);
  }

  /** A name from a server with unknown lists, or missing from its lists. */
  async #byUnlistedName(
    exposed: string,
    envelope: Envelope,
    body: Buffer,
    kind: "tools" | "prompts",
  ): Promise<Decision> {
    const { bindings, mergedCatalog } = this.#parts;
    const names = bindings.all.map(({ name }) => name);
    const byForm = splitName(exposed, names);
    const hint = `names are <server>__<name>; servers: ${names.join(", ") || "none"}`;
    if (byForm === undefined) return refuse(`unknown name ${JSON.stringify(exposed)}`, hint);
    const binding = bindings.named(byForm.server);
    if (binding?.metadata === undefined) await binding?.learn();
    return this.#toNamed(mergedCatalog.now()[kind].resolve(exposed) ?? byForm, envelope, body);
  }

  #toNamed({ server, name }: NamedItem, envelope: Envelope, body: Buffer): Decision {
    const binding = this.#parts.bindings.named(server);
    if (binding === undefined) return refuse(`unknown server ${server}`, "it left the config");
    const edit = { start: envelope.nameStart, end: envelope.nameEnd, text: asciiText(name) };
    return { forward: binding, envelope, body, edits: [edit] };
  }

  // ── resources ──

  async #byUri(envelope: Envelope, body: Buffer): Promise<Decision> {
    if (envelope.uriStart === 0) return refuse("params.uri is missing", "it names the resource");
    const { mergedCatalog } = this.#parts;
    const uri = text(body, envelope.uriStart, envelope.uriEnd);
    const known = mergedCatalog.now();
    // If the origin is known already, there is no need to wait for the other servers.
    const merged = known.origins.has(uri) ? known : await mergedCatalog.merged();
    const bindings = this.#origins(merged, uri);
    const [first] = bindings;
    if (first === undefined) {
      const message = `no server has resources, so there is no ${uri}`;
      return { refuse: { code: -32_002, message, reason: "invalid_params" } };
    }
    const isSearch = bindings.length > 1 && envelope.method === "resources/read";
    return isSearch ? { search: bindings, uri } : { forward: first, envelope, body, edits: [] };
  }

  /** Candidate servers of a resource: its lister, else those with a fitting template, else all with resources. */
  #origins(merged: Merged, uri: string): Binding[] {
    const { bindings } = this.#parts;
    const origin = merged.origins.get(uri);
    const fitting = merged.templates.filter((template) => template.fits(uri)).map(({ server }) => server);
    const offering = bindings.all.filter(
      (binding) => binding.metadata?.initialize.capabilities["resources"] !== undefined,
    );
    const names = origin !== undefined ? [origin] : fitting.length > 0 ? fitting : offering.map(({ name }) => name);
    return [...new Set(names)].flatMap((name) => bindings.named(name) ?? []);
  }

  // ── completions, log levels ──

  /** The completed name is deeply nested; such a message is short, so it is rebuilt. */
  async #complete(body: Buffer): Promise<Decision> {
    const { bindings, mergedCatalog } = this.#parts;
    const message = JSON.parse(body.toString()) as {
      params?: { ref?: { type?: string; name?: string; uri?: string } };
    };
    const ref = message.params?.ref;
    const find = ({ prompts }: Merged) => {
      const item = ref?.type === "ref/prompt" ? prompts.resolve(String(ref.name)) : undefined;
      return item ?? (ref?.type === "ref/resource" ? this.#templateOrigin(String(ref.uri)) : undefined);
    };
    const named = find(mergedCatalog.now()) ?? find(await mergedCatalog.merged());
    const binding = bindings.named(named?.server ?? "");
    if (ref === undefined || binding === undefined)
      return refuse("params.ref names nothing that is offered", "see prompts/list and resources/templates/list");
    if (named?.name !== undefined) ref.name = named.name;
    const rebuilt = Buffer.from(JSON.stringify(message));
    return { forward: binding, envelope: readEnvelope(rebuilt), body: rebuilt, edits: [] };
  }

  #templateOrigin(uri: string): { server: string; name?: string } | undefined {
    const has = (binding: Binding) =>
      binding.metadata?.lists.resourceTemplates.some(({ uriTemplate }) => uriTemplate === uri) === true ||
      binding.metadata?.lists.resources.some((resource) => resource["uri"] === uri) === true;
    const binding = this.#parts.bindings.all.find(has);
    return binding === undefined ? undefined : { server: binding.name };
  }

  /** Undefined: the only server answers for itself. */
  #logLevel(body: Buffer): Decision | undefined {
    const [only] = this.#parts.bindings.all;
    if (!this.#parts.isPrefixed && only?.isPooled !== true && only?.ready() !== undefined) return undefined;
    const { params } = JSON.parse(body.toString()) as { params?: { level?: unknown } };
    const level = params?.level;
    return typeof level === "string"
      ? { logLevel: level }
      : refuse("params.level is missing", "it is a word such as info");
  }
}

function refuse(what: string, hint: string): Decision {
  return { refuse: unknownFault(what, hint) };
}

function text(body: Buffer, start: number, end: number): string {
  return JSON.parse(body.toString("utf8", start, end)) as string;
}
