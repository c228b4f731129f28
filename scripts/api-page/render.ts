/** The docs page of the API as text, made from the same schema that checks every call. */
import { z } from "zod";
import type { MethodSpec } from "../../src/protocol/api/define.ts";
import { api } from "../../src/protocol/api/index.ts";

/** As much of JSON Schema as ours become. */
interface Shape {
  $ref?: string;
  type?: string | string[];
  const?: unknown;
  enum?: unknown[];
  anyOf?: Shape[];
  oneOf?: Shape[];
  items?: Shape;
  properties?: Record<string, Shape>;
  additionalProperties?: Shape | boolean;
  required?: string[];
  default?: unknown;
  description?: string;
  title?: string;
  minimum?: number;
  maximum?: number;
  minLength?: number;
  maxLength?: number;
  maxItems?: number;
}

const preface = `# API

<!-- Made by scripts/api-page.ts from src/protocol/api/: change it there. -->

Call these methods by JSON-RPC 2.0 over \`POST /rpc\` or the WebSocket \`/ws\` ([gateway.md](gateway.md)); [\`holdfast/client\`](client.md) has them typed. Errors carry their code in \`error.data.code\` ([errors.md](errors.md)). Every method may
answer \`invalid_params\`, \`unauthorized\`, \`forbidden\`, \`gateway_busy\` and \`internal\` in addition to the errors listed. Unknown parameters are rejected. Batches hold at most 50 calls.

Each heading names the scope that a token needs. \`name?\` may be omitted; \`name=value\` gives the default; \`int 0…9\` gives bounds, \`string …9\` a length in characters, \`[] …9\` a number of elements. Times are milliseconds since 1970. Durations (\`…Ms\`) are at most 2147483647.

`;

/** Enumerations that are longer than this stand on a page of their own, which the description names. */
const choicesMax = 12;

/** A type as TypeScript would write it, with its bounds. */
function typeOf(shape: Shape): string {
  if (shape.$ref !== undefined) return shape.$ref.split("/").at(-1) ?? "";
  const choices = shape.anyOf ?? shape.oneOf;
  if (choices !== undefined) return choices.map(typeOf).join("|");
  if (shape.enum !== undefined)
    return shape.enum.length > choicesMax ? "string" : shape.enum.map((value) => JSON.stringify(value)).join("|");
  if (shape.const !== undefined) return JSON.stringify(shape.const);
  if (shape.type === "array")
    return `${typeOf(shape.items ?? {}).replace(/ \S*…\S*$/, "")}[]${range(undefined, shape.maxItems)}`;
  if (shape.properties !== undefined) return `{${fields(shape).join(", ")}}`;
  if (shape.type === "integer") return `int${range(shape.minimum, shape.maximum)}`;
  if (shape.type === "string") return `string${range(shape.minLength, shape.maxLength)}`;
  return [shape.type ?? "unknown"].flat().join("|");
}

function range(least: number | undefined, most: number | undefined): string {
  const from = least === undefined || least === Number.MIN_SAFE_INTEGER ? "" : String(least);
  const to = most === undefined || most === Number.MAX_SAFE_INTEGER || most === 2 ** 31 - 1 ? "" : String(most);
  return from === "" && to === "" ? "" : ` ${from}…${to}`;
}

/** Inside braces a type is named only where the field's name does not tell it. */
function fields({ properties = {}, required = [] }: Shape): string[] {
  return Object.entries(properties).map(([name, shape]) => {
    const type = typeOf(shape);
    const isPlain = /^(?:string|int|number|boolean)\b[^|[]*$/.test(type);
    return `${name}${required.includes(name) ? "" : "?"}${isPlain ? "" : `: ${type}`}`;
  });
}

/** One line for each field, what it means behind it. */
function lines({ properties = {}, required = [] }: Shape): string[] {
  return Object.entries(properties).map(([name, shape]) => {
    const isOptional = !required.includes(name) && shape.default === undefined;
    const preset = shape.default === undefined ? "" : `=${JSON.stringify(shape.default)}`;
    const comment = shape.description === undefined ? "" : ` // ${shape.description}`;
    return `${name}${isOptional ? "?" : ""}${preset}: ${typeOf(shape)}${comment}`;
  });
}

function block(text: string[]): string {
  return text.length === 0 ? "" : `\n\`\`\`\n${text.join("\n")}\n\`\`\`\n`;
}

function schemaOf(type: z.ZodType, io: "input" | "output"): { shape: Shape; named: Record<string, Shape> } {
  const { $defs, $schema: _, ...shape } = z.toJSONSchema(type, { io }) as Shape & Record<string, unknown>;
  return { shape, named: ($defs ?? {}) as Record<string, Shape> };
}

/** Parameters that several methods have in exactly the same form. */
function commonParameters(methods: MethodSpec[]): Set<string> {
  const all = methods.flatMap((spec) => lines(schemaOf(spec.params, "input").shape));
  return new Set(all.filter((line, index) => all.indexOf(line) !== index && line.includes(" // ")));
}

function describe(name: string, spec: MethodSpec, common: Set<string>, named: Map<string, Shape>): string {
  const params = schemaOf(spec.params, "input");
  const result = schemaOf(spec.result, "output");
  for (const [id, shape] of Object.entries({ ...params.named, ...result.named })) named.set(id, shape);
  const { id, title: _, ...own } = result.shape as Shape & { id?: string };
  if (id !== undefined) named.set(id, result.shape);
  const given = id ?? typeOf(own);
  const where = spec.transport === "websocket" ? " WebSocket only." : "";
  const errors = spec.errors.length === 0 ? "" : ` Errors: ${spec.errors.map((code) => `\`${code}\``).join(", ")}.`;
  const all = lines(params.shape);
  const shared = all.filter((line) => common.has(line)).map((line) => `\`${line.split(/[?:=]/)[0]}\``);
  const also = shared.length === 0 ? "" : ` Parameters: ${shared.join(", ")}.`;
  const answer = given === "null" ? "" : ` Result: \`${given}\`.`;
  const text = `${spec.summary}${where}${errors}${also}${answer}`;
  return `### ${name} (${spec.scope})\n\n${text}\n${block(all.filter((line) => !common.has(line)))}`;
}

export function apiPage(): string {
  const named = new Map<string, Shape>();
  const specs = api as Record<string, MethodSpec>;
  const common = commonParameters(Object.values(specs));
  const methods = Object.entries(specs).map(([name, spec]) => describe(name, spec, common, named));
  const shapes = [...named]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([id, shape]) => `### ${id}\n\n${shape.title ?? ""}.\n${block(lines(shape))}`);
  return `${preface}## Common parameters\n${block([...common])}\n## Methods\n\n${methods.join("\n")}\n## Shapes\n\n${shapes.join("\n")}`;
}
