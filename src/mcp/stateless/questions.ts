/** Converts questions of session-based servers into the form for stateless clients. */

/** Requests that may be answered with questions to the client. */
export const questionMethods: ReadonlySet<string> = new Set(["tools/call", "prompts/get", "resources/read"]);

/** The three kinds of question, and the client capability for each. */
const needs: Record<string, string> = {
  "sampling/createMessage": "sampling",
  "elicitation/create": "elicitation",
  "roots/list": "roots",
};

export interface InputRequest {
  /** Identifies the question and its answer. */
  key: string;
  request: { method: string; params?: Record<string, unknown> };
}

/** Undefined: the client does not support the question. */
export function inputRequest(
  number: number,
  line: Buffer,
  capabilities: Record<string, unknown>,
): InputRequest | undefined {
  const { method, params } = JSON.parse(line.toString("utf8")) as { method: string; params?: Record<string, unknown> };
  const offered = capabilities[needs[method] ?? ""];
  if (typeof offered !== "object" || offered === null) return undefined;
  if (params?.["mode"] === "url" && (offered as Record<string, unknown>)["url"] === undefined) return undefined;
  const key = `q${number}`;
  if (method === "roots/list") return { key, request: { method } };
  // The rest belongs to a request of its own: progress, task, completion notification.
  const { _meta, task: _task, elicitationId: _id, ...asked } = params ?? {};
  return { key, request: { method, params: asked } };
}
