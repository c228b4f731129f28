/** What one front leaves to the next about a run, besides the session's row: the keeper holds it, and does not read it. */
import { blobBytesMax } from "../../protocol/keeper/messages.ts";

/** Begins to exist with the server's answer to `initialize`: a run without one belongs to a client that knows no session. */
export interface RunHandoff {
  /** Progress tokens of tasks that may still report: our number, and the token as the client wrote it. */
  tokens: [number: number, clientToken: string][];
  /** For a server that was started by us and not by its client's own `initialize`. */
  binding?: BindingHandoff | undefined;
}

interface BindingHandoff {
  /** Where its metadata is kept: equal only for the same server, addressed in the same way. */
  metadataKey: string;
  /** Its answer to `initialize`; the instructions stand in the catalog. */
  initialize: { protocolVersion: string; capabilities: Record<string, unknown>; serverInfo: Record<string, unknown> };
  /** One of its lists was changed since it was started. */
  listsChanged: boolean;
}

/** The oldest tokens are left out where they do not fit; without any it is empty if it does not fit either. */
export function writeRunHandoff({ tokens, binding }: RunHandoff): string {
  for (let from = 0; from <= tokens.length; from += 1) {
    const text = JSON.stringify({ form: 1, tokens: tokens.slice(from), binding });
    if (text.length <= blobBytesMax) return text;
  }
  return "";
}

/** Undefined: there is none. What this front cannot read is none either. */
export function readRunHandoff(text: string): RunHandoff | undefined {
  try {
    const { form, tokens, binding } = JSON.parse(text) as RunHandoff & { form: number };
    return form === 1 && Array.isArray(tokens) ? { tokens, binding } : undefined;
  } catch {
    return undefined; // written by nobody: the session was never begun
  }
}
