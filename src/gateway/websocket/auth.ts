/** First message of a WebSocket without a bearer header, as from a browser: `auth {token}`. */
import { z } from "zod";
import { rpcCode } from "../../mcp/wire/json-rpc.ts";
import type { RpcScope } from "../../protocol/api/define.ts";

const authSchema = z.strictObject({
  jsonrpc: z.literal("2.0"),
  id: z.union([z.string(), z.number()]),
  method: z.literal("auth"),
  params: z.strictObject({ token: z.string() }),
});

export interface Auth {
  /** Undefined: not an `auth` message. */
  token: string | undefined;
  accepted: (scopes: ReadonlySet<RpcScope>) => string;
  refusal: (message: string) => string;
}

export function readAuth(text: string): Auth {
  const read = authSchema.safeParse(parse(text));
  const id = read.success ? read.data.id : null;
  const answer = (outcome: object) => JSON.stringify({ jsonrpc: "2.0", id, ...outcome });
  return {
    token: read.success ? read.data.params.token : undefined,
    accepted: (scopes) => answer({ result: { scopes: [...scopes] } }),
    refusal: (message) => answer({ error: { code: rpcCode.invalidRequest, message, data: { code: "unauthorized" } } }),
  };
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not an `auth` message either
  }
}
