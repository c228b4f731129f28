/** What a server of a session-based revision asks its client, in the form in which a stateless client is asked. */

/** Requests in whose place a client may be asked something. */
export const questionMethods = new Set(["tools/call", "prompts/get", "resources/read"]);

/** The three questions that there are, and what a client says if it takes them. */
const needs: Record<string, string> = {
  "sampling/createMessage": "sampling",
  "elicitation/create": "elicitation",
  "roots/list": "roots",
};

export interface InputRequest {
  /** Under this key the client is asked, and answers. */
  key: string;
  request: { method: string; params?: Record<string, unknown> };
}

/** Undefined: this client cannot be asked that. */
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
  // The rest concerns a request of its own, which this is not any more: its progress, its task, the word of its end.
  const { _meta, task: _task, elicitationId: _id, ...asked } = params ?? {};
  return { key, request: { method, params: asked } };
}
