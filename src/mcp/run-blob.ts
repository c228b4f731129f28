/** What one front leaves to the next about a run, besides the session's row: the keeper holds it, and does not read it. */
import { blobBytesMax } from "../keeper/protocol/messages.ts";

/** Begins to exist with the server's answer to `initialize`: a run without one belongs to a client that knows no session. */
export interface RunBlob {
  /** Progress tokens of tasks that may still report: our number, and the token as the client wrote it. */
  tokens: [number: number, clientToken: string][];
}

/** The oldest tokens are left out where they do not fit. */
export function writeBlob({ tokens }: RunBlob): string {
  for (let from = 0; ; from += 1) {
    const text = JSON.stringify({ form: 1, tokens: tokens.slice(from) });
    if (text.length <= blobBytesMax) return text;
  }
}

/** Undefined: there is none. What this front cannot read is none either. */
export function readBlob(text: string): RunBlob | undefined {
  try {
    const { form, tokens } = JSON.parse(text) as RunBlob & { form: number };
    return form === 1 && Array.isArray(tokens) ? { tokens } : undefined;
  } catch {
    return undefined; // written by nobody: the session was never begun
  }
}
