/** The handoff state of a run, apart from the session's row: the keeper stores it unread. */
import { blobBytesMax } from "../../protocol/keeper/messages.ts";

/** Exists from the server's answer to `initialize`: a run without one belongs to a client without a session id. */
export interface RunHandoff {
  /** Progress tokens of running tasks: our number, and the client's token. */
  tokens: [number: number, clientToken: string][];
  /** For a server that we initialized, in place of its client. */
  binding?: BindingHandoff | undefined;
}

interface BindingHandoff {
  /** Key of its metadata: equal only for the same server with the same introduction. */
  metadataKey: string;
  /** Its answer to `initialize`; the instructions are in the catalog. */
  initialize: { protocolVersion: string; capabilities: Record<string, unknown>; serverInfo: Record<string, unknown> };
  /** One of its lists changed since the start. */
  listsChanged: boolean;
}

/** Omits the oldest tokens to fit; empty if it is still too large without any. */
export function writeRunHandoff({ tokens, binding }: RunHandoff): string {
  for (let from = 0; from <= tokens.length; from += 1) {
    const text = JSON.stringify({ form: 1, tokens: tokens.slice(from), binding });
    if (text.length <= blobBytesMax) return text;
  }
  return "";
}

/** Undefined: missing, or unreadable for this front. */
export function readRunHandoff(text: string): RunHandoff | undefined {
  try {
    const { form, tokens, binding } = JSON.parse(text) as RunHandoff & { form: number };
    return form === 1 && Array.isArray(tokens) ? { tokens, binding } : undefined;
  } catch {
    return undefined; // empty: the session never began
  }
}
