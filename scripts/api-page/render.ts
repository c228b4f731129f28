/** The docs page of the API as text, made from the same schema that checks every call. */
import { z } from "zod";
import type { MethodSpec } from "../../src/gateway/api/define.ts";
import { api } from "../../src/gateway/api/index.ts";

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

<!-- Made by scripts/api-page.ts from src/gateway/api/: change it there. -->

JSON-RPC 2.0, the same methods over two transports: \`POST /rpc\` (one message a request) and a WebSocket at \`/ws\` ([gateway.md](gateway.md)).
Errors carry Holdfast's own code in \`error.data.code\` ([errors.md](errors.md)); every method can give \`invalid_params\`, \`unauthorized\`,
\`forbidden\`, \`gateway_busy\` and \`internal\`, and what stands beside it. A parameter that is not listed is an error. Batches hold at most 50 calls.

`;

/** One word or expression for a shape, as TypeScript would write it. */
function word(shape: Shape): string {
  if (shape.$ref !== undefined) {
    const name = shape.$ref.split("/").at(-1) ?? "";
    return `[${name}](#${name.toLowerCase()})`;
  }
  const choices = shape.anyOf ?? shape.oneOf;
  if (choices !== undefined) return choices.map(word).join(" or ");
  if (shape.enum !== undefined) return shape.enum.map((value) => JSON.stringify(value)).join(" or ");
  if (shape.const !== undefined) return JSON.stringify(shape.const);
  if (shape.type === "array") return `list of ${word(shape.items ?? {})}`;
  if (shape.properties !== undefined) return `{${fields(shape).join(", ")}}`;
  if (shape.type === "object") return "object";
  return [shape.type ?? "anything"].flat().join(" or ");
}

function fields({ properties = {}, required = [] }: Shape): string[] {
  return Object.entries(properties).map(([name, shape]) => {
    const kind = word(shape);
    const plain = kind === "string" || kind === "integer" || kind === "number" || kind === "boolean";
    return `${name}${required.includes(name) ? "" : "?"}${plain ? "" : `: ${kind}`}`;
  });
}

function bounds({ minimum, maximum, minLength, maxLength, maxItems }: Shape): string {
  const parts: string[] = [];
  if (minimum !== undefined && minimum > Number.MIN_SAFE_INTEGER) parts.push(`at least ${minimum}`);
  if (maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER) parts.push(`at most ${maximum}`);
  if (minLength !== undefined) parts.push(`at least ${minLength} characters`);
  if (maxLength !== undefined) parts.push(`at most ${maxLength} characters`);
  if (maxItems !== undefined) parts.push(`at most ${maxItems}`);
  return parts.join(", ");
}

function table({ properties = {}, required = [] }: Shape, withDefaults: boolean): string {
  const rows = Object.entries(properties).map(([name, shape]) => {
    const must = required.includes(name)
      ? "required"
      : shape.default === undefined
        ? ""
        : JSON.stringify(shape.default);
    const kind = [word(shape), bounds(shape)].filter((part) => part !== "").join(", ");
    const cells = withDefaults ? [must === "" ? "" : must === "required" ? must : `\`${must}\``] : [];
    return `| \`${name}\` | ${[kind, ...cells, shape.description ?? ""].join(" | ")} |`;
  });
  const head = withDefaults
    ? "| Parameter | Type | Default | |\n|---|---|---|---|"
    : "| Field | Type | |\n|---|---|---|";
  return `${head}\n${rows.join("\n")}\n`;
}

function schemaOf(type: z.ZodType, io: "input" | "output"): { shape: Shape; named: Record<string, Shape> } {
  const { $defs, $schema: _, ...shape } = z.toJSONSchema(type, { io }) as Shape & Record<string, unknown>;
  return { shape, named: ($defs ?? {}) as Record<string, Shape> };
}

function describe(name: string, spec: MethodSpec, named: Map<string, Shape>): string {
  const params = schemaOf(spec.params, "input");
  const result = schemaOf(spec.result, "output");
  for (const [id, shape] of Object.entries({ ...params.named, ...result.named })) named.set(id, shape);
  const { id, title: _, ...own } = result.shape as Shape & { id?: string };
  if (id !== undefined) named.set(id, result.shape);
  const given = id === undefined ? word(own) : word({ $ref: id });
  const where = spec.transport === "websocket" ? " WebSocket only." : "";
  const errors = spec.errors.length === 0 ? "" : ` Errors: ${spec.errors.map((code) => `\`${code}\``).join(", ")}.`;
  const parameters = Object.keys(params.shape.properties ?? {}).length === 0 ? "" : `\n${table(params.shape, true)}`;
  return `### ${name}\n\n${spec.summary}${where} Scope \`${spec.scope}\`.${errors}\n${parameters}\nResult: ${given}.\n`;
}

export function apiPage(): string {
  const named = new Map<string, Shape>();
  const methods = Object.entries(api as Record<string, MethodSpec>).map(([name, spec]) => describe(name, spec, named));
  const shapes = [...named]
    .toSorted(([one], [other]) => (one < other ? -1 : 1))
    .map(([id, shape]) => `### ${id}\n\n${shape.title ?? ""}.\n\n${table(shape, false)}`);
  return `${preface}## Methods\n\n${methods.join("\n")}\n## Shapes\n\n${shapes.join("\n")}`;
}
