/** Filters list entries for an aggregate: clients drop a whole list for one bad entry. */
import type { Item, ListName } from "../servers/handshake.ts";
import { isObject } from "../wire/json-rpc.ts";

type Check = (value: unknown) => boolean;

const isText: Check = (value) => typeof value === "string";
const isFlag: Check = (value) => typeof value === "boolean";
const isNumber: Check = (value) => typeof value === "number";
const isObjectSchema: Check = (value) => isObject(value) && value["type"] === "object";
const isOneOf =
  (...words: unknown[]): Check =>
  (value) =>
    words.includes(value);
const unless =
  (is: Check): Check =>
  (value) =>
    value === undefined || is(value);
const isListOf =
  (is: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(is);
const hasShape =
  (shape: Record<string, Check>): Check =>
  (value) =>
    isObject(value) && Object.entries(shape).every(([key, is]) => is(value[key]));

const isArgument = hasShape({ name: isText, description: unless(isText), required: unless(isFlag) });
const described = { title: unless(isText), description: unless(isText), _meta: unless(isObject) };
/** The schema's requirements for an entry, as far as published clients check them. */
const shapes: Record<ListName, Record<string, Check>> = {
  tools: { ...described, name: isText, inputSchema: isObjectSchema, outputSchema: unless(isObjectSchema) },
  prompts: { ...described, name: isText, arguments: unless(isListOf(isArgument)) },
  resources: { ...described, name: isText, uri: isText, mimeType: unless(isText) },
  resourceTemplates: { ...described, name: isText, uriTemplate: isText, mimeType: unless(isText) },
};

const icons = isListOf(
  hasShape({
    src: isText,
    mimeType: unless(isText),
    sizes: unless(isListOf(isText)),
    theme: unless(isOneOf("light", "dark")),
  }),
);
const hints = ["readOnlyHint", "destructiveHint", "idempotentHint", "openWorldHint"];
const toolAnnotations = hasShape({
  title: unless(isText),
  ...Object.fromEntries(hints.map((hint) => [hint, unless(isFlag)])),
});
const annotations = hasShape({
  audience: unless(isListOf(isOneOf("user", "assistant"))),
  priority: unless((value) => isNumber(value) && (value as number) >= 0 && (value as number) <= 1),
  lastModified: unless(isTime),
});
const execution = hasShape({ taskSupport: unless(isOneOf("required", "optional", "forbidden")) });
/** The same of members without which an entry is as useful: they are left out alone. */
const extras: Record<ListName, Record<string, Check>> = {
  tools: { icons, annotations: toolAnnotations, execution },
  prompts: { icons },
  resources: { icons, annotations, size: isNumber },
  resourceTemplates: { icons, annotations },
};

/** ISO 8601, of a day that there is. */
function isTime(value: unknown): boolean {
  const match = /^(\d{4}-\d\d-\d\d)T\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:\d\d)$/.exec(String(value));
  const day = new Date(`${match?.[1]}T00:00Z`);
  return isText(value) && !Number.isNaN(Date.parse(String(value))) && day.toJSON()?.startsWith(match?.[1] ?? "-");
}

/** The clients' keys; some model interfaces reject a whole list for a duplicate. */
const keys = { tools: "name", prompts: "name", resources: "uri", resourceTemplates: "uriTemplate" };

/** The entries that clients can read, without duplicates. */
export function readable(list: ListName, items: Item[]): Item[] {
  const seen = new Set<unknown>();
  const kept = items.filter((item) => {
    if (!isObject(item) || Object.entries(shapes[list]).some(([key, is]) => !is(item[key]))) return false;
    const isOnce = !seen.has(item[keys[list]]);
    seen.add(item[keys[list]]);
    return isOnce;
  });
  return kept.map((item) => withoutOddExtras(list, item));
}

function withoutOddExtras(list: ListName, item: Item): Item {
  const odd = Object.entries(extras[list]).filter(([key, is]) => item[key] !== undefined && !is(item[key]));
  if (odd.length === 0) return item;
  const names = new Set(odd.map(([key]) => key));
  return Object.fromEntries(Object.entries(item).filter(([key]) => !names.has(key)));
}

/**
 * Whether a URI may come from a template such as `file:///{path}`. An expression matches anything, since encodings
 * differ between servers. Searches piece by piece: a regular expression could block the front for hours.
 */
export function fits(template: string, uri: string): boolean {
  const [first = "", ...rest] = template.split(/\{[^}]*\}/);
  const last = rest.pop();
  if (last === undefined) return uri === first;
  if (!uri.startsWith(first)) return false;
  let at = first.length;
  for (const piece of rest) {
    const found = uri.indexOf(piece, at);
    if (found < 0) return false;
    at = found + piece.length;
  }
  return uri.length - at >= last.length && uri.endsWith(last);
}
