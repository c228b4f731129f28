/** What the stateless revision wants of a result that a session-based revision does not say: its type, and how long it may be kept. */
import { readEnvelope } from "../wire/envelope.ts";
import { rpcCode } from "../wire/json-rpc.ts";
import type { InitializeResult } from "../servers/handshake.ts";
import { allVersions, statelessVersion } from "../wire/headers.ts";

/** A list may be used again for so long without asking; whoever listens hears of a change at once. */
const listTtlMs = 5000;
/** What is seen depends on the token, and on what a server tells one client: it is nobody else's. */
const cacheHints = (ttlMs: number) => `"ttlMs":${ttlMs},"cacheScope":"private"`;
const complete = '"resultType":"complete"';

const members: Record<string, string> = {
  "tools/list": `${complete},${cacheHints(listTtlMs)}`,
  "prompts/list": `${complete},${cacheHints(listTtlMs)}`,
  "resources/list": `${complete},${cacheHints(listTtlMs)}`,
  "resources/templates/list": `${complete},${cacheHints(listTtlMs)}`,
  // A resource may be another the next moment, and nobody would be told.
  "resources/read": `${complete},${cacheHints(0)}`,
};

const objectClose = 0x7d;

/** What is to be inserted behind the brace at `start`, where the result of `method` begins. */
export function resultMembers(method: string, line: Buffer, start: number): string {
  const text = members[method] ?? complete;
  let at = start + 1;
  while (line[at] === 0x20 || line[at] === 0x09 || line[at] === 0x0a || line[at] === 0x0d) at++;
  return line[at] === objectClose ? text : `${text},`;
}

/** The `result` of `server/discover`, its type aside, from what a server of a session-based revision said, or what we say for several. */
export function discovery({ capabilities, serverInfo, instructions }: InitializeResult): string {
  // Tasks are an extension of another form now.
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

/** Whether a refusal of `initialize` is that of a server which keeps no sessions; the code for it is everybody's own. */
export function refusesSessions(line: Buffer): boolean {
  const text = line.toString("utf8");
  const { error } = JSON.parse(text) as { error?: { code?: unknown } | null };
  const isItsCode = [-32_601, -32_020, -32_021, -32_022].includes(Number(error?.code));
  return isItsCode || text.includes("io.modelcontextprotocol/") || text.includes(statelessVersion);
}

/** Codes of a session-based revision that the stateless one must not say, and what it says instead. */
const codes: Record<number, number> = { [-32_002]: -32_602 };

/** The HTTP status that goes with an error; for most it is an answer like any other. */
export function statusOf(code: number): number {
  if (code === rpcCode.methodUnknown) return 404;
  return code === rpcCode.headerMismatch ? 400 : 200;
}

/** An error of a server as a stateless client may hear it, with the HTTP status that goes with it. */
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
