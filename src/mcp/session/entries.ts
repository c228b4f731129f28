/** Filters list entries for an aggregate: clients drop a whole list for one bad entry. */
import type { Item, ListName } from "../servers/handshake.ts";
import { isObject } from "../wire/json-rpc.ts";

const isText = (value: unknown) => typeof value === "string";
const isObjectSchema = (value: unknown) => isObject(value) && value["type"] === "object";
const unless = (is: (value: unknown) => boolean) => (value: unknown) => value === undefined || is(value);

const described = { title: unless(isText), description: unless(isText), _meta: unless(isObject) };
/** The schema's requirements for an entry, as far as published clients check them. */
const shapes: Record<ListName, Record<string, (value: unknown) => boolean>> = {
  tools: {
    ...described,
    name: isText,
    inputSchema: isObjectSchema,
    outputSchema: unless(isObjectSchema),
    annotations: unless(isObject),
  },
  prompts: { ...described, name: isText, arguments: unless(Array.isArray) },
  resources: { ...described, name: isText, uri: isText, mimeType: unless(isText) },
  resourceTemplates: { ...described, name: isText, uriTemplate: isText, mimeType: unless(isText) },
};
/** The clients' keys; some model interfaces reject a whole list for a duplicate. */
const keys = { tools: "name", prompts: "name", resources: "uri", resourceTemplates: "uriTemplate" };

/** The entries that clients can read, without duplicates. */
export function readable(list: ListName, items: Item[]): Item[] {
  const seen = new Set<unknown>();
  return items.filter((item) => {
    if (!isObject(item) || Object.entries(shapes[list]).some(([key, is]) => !is(item[key]))) return false;
    const isOnce = !seen.has(item[keys[list]]);
    seen.add(item[keys[list]]);
    return isOnce;
  });
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
