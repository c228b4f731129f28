/** Parses the command line of a server started by npx: packages, program and arguments. */
import { programName } from "../../platform/program.ts";

/** An npx request that can be carried out without npx. */
export interface NpxRequest {
  /** Names with optional version, range or tag, as npm reads them. */
  packages: string[];
  /** The program by name; undefined: npx's choice for the only package. */
  bin: string | undefined;
  /** Arguments for the program. */
  args: string[];
  /** Options for npm. */
  options: string[];
}

export type NpxWords = NpxRequest | { refused: string };

/** Options without effect on the program. */
const idle = new Set(
  (
    "-y --yes --yes=true -q --quiet -s --silent -d --no-progress --no-update-notifier --no-fund --no-audit " +
    "--prefer-offline --prefer-online"
  ).split(" "),
);
/** Options that the installation needs too. */
const passedOn = new Set(["--ignore-scripts"]);

/** A registry name with an optional version: not an address, path, archive, alias or repository. */
const registrySpec = /^(@[a-z0-9~-][\w.~-]*\/)?[a-z0-9~][\w.~-]*(@[^/:@.][^/:@]*)?(?<!\.tgz|\.tar|\.tar\.gz)$/i;

export function readNpxWords(command: string, args: readonly string[]): NpxWords {
  const program = programName(command);
  if (program === "npx") return read(args, false);
  if (program !== "npm") return { refused: `${command} is not npx` };
  const [word, ...rest] = args;
  return word === "exec" || word === "x" ? read(rest, true) : { refused: `npm ${word ?? ""} is not npm exec` };
}

/** `npx` passes everything after the first plain argument to the program; `npm exec` only what follows `--`. */
function read(words: readonly string[], isExec: boolean): NpxWords {
  const packages: string[] = [];
  const options: string[] = [];
  const plain: string[] = [];
  for (let index = 0; index < words.length; index++) {
    const word = words[index] ?? "";
    const ends = word === "--" || (!isExec && !word.startsWith("-"));
    if (ends) {
      plain.push(...words.slice(word === "--" ? index + 1 : index));
      break;
    }
    const named = /^(?:-p|--package)(?:=(.*))?$/s.exec(word);
    const registry = /^--registry(?:=(.*))?$/s.exec(word);
    if (!word.startsWith("-")) plain.push(word);
    else if (named !== null) packages.push(named[1] ?? words[++index] ?? "");
    else if (registry !== null) options.push(`--registry=${registry[1] ?? words[++index] ?? ""}`);
    else if (passedOn.has(word)) options.push(word);
    else if (!idle.has(word)) return { refused: `npx may mean anything by its option ${word.split("=")[0]}` };
  }
  const [first, ...args] = plain;
  if (first === undefined) return { refused: "no package and no program are named" };
  const wanted = packages.length === 0 ? [first] : packages;
  const odd = wanted.find((spec) => !registrySpec.test(spec));
  if (odd !== undefined) return { refused: `${odd} is not a package of the registry` };
  return { packages: wanted, bin: packages.length === 0 ? undefined : first, args, options };
}

/** `@scope/name@1.2` → `@scope/name`. */
export function nameOf(spec: string): string {
  return spec.replace(/(?<=.)@.*$/s, "");
}
