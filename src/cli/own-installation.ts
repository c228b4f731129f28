/** What a client must call to reach this installation. */
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ownWords } from "../config/clients/prefix.ts";
import type { CommandContext } from "./context.ts";

/** `holdfast`, or this Node.js with this script; see `ownWords`. */
export function holdfastWords(): string[] {
  const near = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  // Run from the sources of a checkout, it is the build that a client is to start, if there is one.
  const built = [near("../main.js"), near("../../dist/main.js")].find(isThere);
  const script = built ?? near("../main.ts");
  return ownWords({ script, node: process.execPath, path: process.env["PATH"] ?? "" });
}

/** The command line of a client's entry that connects to the gateway over stdio. */
export function stdioEntry({ state, isDefaultState }: CommandContext): string[] {
  return [...holdfastWords(), ...(isDefaultState === true ? [] : ["--state", state]), "mcp"];
}

/** Not `existsSync`: that judges without the capabilities that may have led here. */
function isThere(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}
