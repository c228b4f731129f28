/** What a client must call to reach this installation. */
import { fileURLToPath } from "node:url";
import { ownWords } from "../config/clients/prefix.ts";

/** `holdfast`, or this Node.js with this script; see `ownWords`. */
export function holdfastWords(): string[] {
  // Beside this file's directory, in the sources as in the build.
  const script = fileURLToPath(new URL(`../main.${import.meta.url.endsWith(".ts") ? "ts" : "js"}`, import.meta.url));
  return ownWords({ script, node: process.execPath, path: process.env["PATH"] ?? "" });
}
