/**
 * Loaded before the product (`--import`): gives one of its files another text, as `HOLDFAST_PATCHES` says. The files on the
 * disk stay as they are.
 */
import { readFileSync } from "node:fs";
import { registerHooks } from "node:module";
import { fileURLToPath } from "node:url";

/** In a file named from the root of the project: the only place with this text, or a place by its offset. */
export interface Patch {
  readonly file: string;
  readonly find: string;
  readonly put: string;
  readonly at?: number;
}

export const patchesVariable = "HOLDFAST_PATCHES";
const root = new URL("../../", import.meta.url);

/** Throws when the text is not there once, so that a table of patches cannot grow old unnoticed. */
export function applyPatch(text: string, { file, find, put, at: given }: Patch): string {
  const at = given ?? text.indexOf(find);
  if (at === -1 || text.slice(at, at + find.length) !== find) throw new Error(`${file} has no ${JSON.stringify(find)}`);
  if (given === undefined && text.lastIndexOf(find) !== at && find.length < 12)
    throw new Error(`${file} has ${JSON.stringify(find)} more than once`);
  return text.slice(0, at) + put + text.slice(at + find.length);
}

export function readPatched(patches: readonly Patch[], file: string): string {
  return patches.filter((patch) => patch.file === file).reduce(applyPatch, readFileSync(new URL(file, root), "utf8"));
}

const patches = JSON.parse(process.env[patchesVariable] ?? "[]") as Patch[];
if (patches.length > 0)
  registerHooks({
    load(url, context, next) {
      const path = url.startsWith("file:") ? fileURLToPath(url) : "";
      const patch = patches.find(({ file }) => path === fileURLToPath(new URL(file, root)));
      if (patch === undefined) return next(url, context);
      return { format: "module-typescript", source: readPatched(patches, patch.file), shortCircuit: true };
    },
  });
