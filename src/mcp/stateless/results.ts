/** Additions of the stateless revision to a result: its type and its cache lifetime. */
import { readEnvelope } from "../wire/envelope.ts";
import { rpcCode } from "../wire/json-rpc.ts";
import type { InitializeResult } from "../servers/handshake.ts";
import { allVersions, statelessVersion } from "../wire/headers.ts";

/** Lifetime of a cached list; listeners learn of changes at once. */
const listTtlMs = 5000;
/** Results depend on the token and on the client's server, so they stay private. */
const cacheHints = (ttlMs: number) => `"ttlMs":${ttlMs},"cacheScope":"private"`;
const complete = '"resultType":"complete"';

const members: Record<string, string> = {
  "tools/list": `${complete},${cacheHints(listTtlMs)}`,
  "prompts/list": `${complete},${cacheHints(listTtlMs)}`,
  "resources/list": `${complete},${cacheHints(listTtlMs)}`,
  "resources/templates/list": `${complete},${cacheHints(listTtlMs)}`,
  // A resource may change at any moment, without a notification.
  "resources/read": `${complete},${cacheHints(0)}`,
};

const objectClose = 0x7d;

/** The members to insert behind the brace at `start` of the result of `method`. */
export function resultMembers(method: string, line: Buffer, start: number): string {
  const text = members[method] ?? complete;
  let at = start + 1;
  while (line[at] === 0x20 || line[at] === 0x09 || line[at] === 0x0a || line[at] === 0x0d) at++;
  return line[at] === objectClose ? text : `${text},`;
}

/** The `result` of `server/discover` without its type, from a server's `initialize` result or the aggregate one. */
export function discovery({ capabilities, serverInfo, instructions }: InitializeResult): string {
  // Tasks are now an extension of another form.
  const { tasks: _, ...rest } = capabilities;
  return JSON.stringify({
    supportedVersions: allVersions,
    capabilities: rest,
    ...(instructions === undefined ? {} : { instructions }),
    ttlMs: listTtlMs,
    cacheScope: "private",
    _meta: { "io.modelcontextprotocol/serverInfo": serverInfo },
  });
}

/** Whether a refusal of `initialize` comes from a stateless server; the error code differs between servers. */
export function refusesSessions(line: Buffer): boolean {
  const text = line.toString("utf8");
  const { error } = JSON.parse(text) as { error?: { code?: unknown } | null };
  const isItsCode = [-32_601, -32_020, -32_021, -32_022].includes(Number(error?.code));
  return isItsCode || text.includes("io.modelcontextprotocol/") || text.includes(statelessVersion);
}

/** Codes of session-based revisions that the stateless one forbids, and their replacements. */
const codes: Record<number, number> = { [-32_002]: -32_602 };

/** The HTTP status of an error; most are ordinary answers. */
export function statusOf(code: number): number {
  if (code === rpcCode.methodUnknown) return 404;
  return code === rpcCode.headerMismatch ? 400 : 200;
}

/** A server's error in the form for stateless clients, with its HTTP status. */
export function errorAnswer(line: Buffer): { line: Buffer; status: number } {
  const message = JSON.parse(line.toString("utf8")) as { error?: { code?: unknown } | null };
  const code = Number(message.error?.code);
  const status = statusOf(code);
  const other = codes[code];
  if (other === undefined) return { line, status };
  const { idStart, idEnd } = readEnvelope(line);
  const error = JSON.stringify({ ...message.error, code: other });
  const head = Buffer.from(`{"jsonrpc":"2.0","id":${line.toString("latin1", idStart, idEnd)},"error":`, "latin1");
  return { line: Buffer.concat([head, Buffer.from(`${error}}`)]), status };
}
