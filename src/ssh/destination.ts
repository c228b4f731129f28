/** Where an ssh run goes: a `host` of the config, or a server whose command already is plain ssh. */
import { HoldfastError } from "../errors.ts";
import { quote } from "./remote/quote.ts";

export interface Destination {
  /** ssh's arguments for reaching the host: options, then the host. */
  words: readonly string[];
  /** One name for these arguments, in the ledger and for people: `ssh:user@host`. */
  name: string;
}

/** `ssh:` and the arguments, quoted where a shell would split them, so that the name can be parsed again. */
function nameOf(words: readonly string[]): string {
  return `ssh:${words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : quote(word))).join(" ")}`;
}

/** Parses a name from the ledger. */
export function readDestination(name: string): Destination {
  const words = [...name.slice("ssh:".length).matchAll(/'((?:[^']|'\\'')*)'|\S+/g)].map(([whole, quoted]) =>
    quoted === undefined ? whole : quoted.replaceAll(String.raw`'\''`, "'"),
  );
  return { words, name };
}

/** The remote command: separate arguments, or one line for the user's login shell, as ssh itself passes it. */
export type RemoteCommand = { argv: readonly string[] } | { line: string };

/** `ssh:` and an ssh destination. Throws `config_invalid` for one that ssh would read as an option. */
export function parseHost(host: string): Destination {
  const target = host.slice("ssh:".length);
  if (!/^[^\s-][^\s]*$/.test(target)) {
    throw new HoldfastError(
      "config_invalid",
      `host ${JSON.stringify(host)}: after ssh: comes a host, user@host or a name from your ssh config`,
    );
  }
  return { words: [target], name: nameOf([target]) };
}

/** ssh options with a value. */
const valued = new Set("bcDEeFIiJLlmOopQRSWw");
const passedOn = new Set("46AaCKkqvy");
/** Options that say how to reach the host. The others need what a shared connection cannot provide. */
const reaching = new Set("bcFIiJlmop");

/**
 * Parses the arguments of a plain `ssh … host command`. Undefined, so left unchanged, when it needs more than a command
 * with its streams (a terminal, forwardings, no command …).
 */
export function parseSshArguments(args: readonly string[]): { destination: Destination; line: string } | undefined {
  const options: string[] = [];
  let at = 0;
  for (; at < args.length; at++) {
    const word = args[at]!;
    if (word === "--") {
      at++;
      break;
    }
    if (!word.startsWith("-") || word === "-") break;
    const taken = takeOption(word, args[at + 1]);
    if (taken === undefined) return undefined;
    options.push(...taken.words);
    at += taken.extra;
  }
  const [host, ...rest] = args.slice(at);
  // A host like an option, or options behind the host, as ssh allows: too rare to interpret.
  if (host === undefined || host.startsWith("-") || rest.length === 0 || rest[0]!.startsWith("-")) return undefined;
  const words = [...options, host];
  return { destination: { words, name: nameOf(words) }, line: rest.join(" ") };
}

/** The arguments to pass on for one option, and how many further arguments it took. */
function takeOption(word: string, next: string | undefined): { words: string[]; extra: number } | undefined {
  const letters = word.slice(1);
  for (let index = 0; index < letters.length; index++) {
    const letter = letters[index]!;
    // We do the same as -T; -n contradicts a server on stdio.
    if (letter === "T") continue;
    if (passedOn.has(letter)) continue;
    if (!valued.has(letter) || !reaching.has(letter)) return undefined;
    const before = letters
      .slice(0, index)
      .split("")
      .filter((each) => passedOn.has(each))
      .map((each) => `-${each}`);
    const attached = letters.slice(index + 1);
    if (attached !== "") return { words: [...before, `-${letter}`, attached], extra: 0 };
    if (next === undefined) return undefined;
    return { words: [...before, `-${letter}`, next], extra: 1 };
  }
  return {
    words: letters
      .split("")
      .filter((each) => passedOn.has(each))
      .map((each) => `-${each}`),
    extra: 0,
  };
}

/** An established connection needs no jump host, and ssh rejects -J beside a ProxyCommand. */
export function withoutJumps(words: readonly string[]): string[] {
  return words.filter((word, index) => word !== "-J" && words[index - 1] !== "-J");
}

/** For every ssh of ours: no prompts, no terminal, none of the extras in the user's config. */
export const plain: readonly string[] = [
  "BatchMode=yes",
  "RequestTTY=no",
  "RemoteCommand=none",
  "ClearAllForwardings=yes",
  "PermitLocalCommand=no",
  "ForwardX11=no",
  "EscapeChar=none",
  "ControlPersist=no",
];
