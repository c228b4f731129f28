/** The command that clients call to reach this installation. */
import { statSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { ownWords } from "../config/clients/prefix.ts";
import type { CommandContext } from "./context.ts";

/** `holdfast`, or this Node.js with this script; see `ownWords`. */
export function holdfastWords(): string[] {
  const near = (path: string) => fileURLToPath(new URL(path, import.meta.url));
  // In a source checkout clients should start the build, if there is one.
  const built = [near("../main.js"), near("../../dist/main.js")].find(isThere);
  const script = built ?? near("../main.ts");
  return ownWords({ script, node: process.execPath, path: process.env["PATH"] ?? "" });
}

/** The command line of a client's entry for the gateway over stdio. */
export function stdioEntry({ state, isDefaultState, url }: CommandContext): string[] {
  const address = [
    ...(isDefaultState === true ? [] : ["--state", state]),
    ...(url === undefined ? [] : ["--url", url]),
  ];
  return [...holdfastWords(), ...address, "mcp"];
}

/** `existsSync` ignores the capabilities that may have granted access to the path. */
function isThere(file: string): boolean {
  return statSync(file, { throwIfNoEntry: false })?.isFile() === true;
}
