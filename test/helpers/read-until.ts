/** Reads what a program says, up to a word. */
import type { Readable } from "node:stream";

/** Resolves with everything on the stream up to and including `word`; rejects when it ends before. */
export async function readUntil(stream: Readable | null | undefined, word: string): Promise<string> {
  let text = "";
  for await (const chunk of stream?.iterator({ destroyOnReturn: false }) ?? []) {
    text += String(chunk);
    if (text.includes(word)) return text;
  }
  throw new Error(`the stream ended before ${JSON.stringify(word)}: ${text}`);
}
