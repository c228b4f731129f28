/** Shows an error to a person: one line with the remedy; a stack only for our own defects. */
import { HoldfastError } from "../errors.ts";
import { plainText } from "../plain-text.ts";

/** Writes the message to stderr and returns the exit code: 2 for wrong usage, else 1. */
export function reportFailure(thrown: unknown): 1 | 2 {
  if (thrown instanceof HoldfastError && thrown.code !== "internal") {
    process.stderr.write(`holdfast: ${plainText(thrown.message)}\n`);
    return thrown.code === "usage" ? 2 : 1;
  }
  const what = thrown instanceof Error ? thrown.stack : String(thrown);
  process.stderr.write(`holdfast: this is a defect, please report it: ${plainText(what ?? "")}\n`);
  return 1;
}
