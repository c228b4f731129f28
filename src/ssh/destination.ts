/** Where an ssh run goes: a `host` of the config, or a server whose command is plain ssh already. */
import { HoldfastError } from "../errors.ts";
import { quote } from "./remote/quote.ts";

export interface Destination {
  /** What ssh is told to reach the far side: options, then the host last. */
  words: readonly string[];
  /** One name for the same words, in the ledger and for people: `ssh:user@host`. */
  name: string;
}

/** `ssh:` and the words, so that they can be read back: those that a shell would take apart are quoted. */
function nameOf(words: readonly string[]): string {
  return `ssh:${words.map((word) => (/^[\w@%+=:,./-]+$/.test(word) ? word : quote(word))).join(" ")}`;
}

/** The destination that has this name in the ledger. */
export function readDestination(name: string): Destination {
  const words = [...name.slice("ssh:".length).matchAll(/'((?:[^']|'\\'')*)'|\S+/g)].map(([whole, quoted]) =>
    quoted === undefined ? whole : quoted.replaceAll(String.raw`'\''`, "'"),
  );
  return { words, name };
}

/** What to run over there: words as they are, or one line for the user's login shell, as ssh itself would do it. */
export type RemoteCommand = { argv: readonly string[] } | { line: string };

/** `ssh:` and a destination as ssh takes it. Throws `config_invalid` for one that ssh would take for an option. */
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

/** Options of ssh that take a value, and those that do not but may be passed on. */
const valued = new Set("bcDEeFIiJLlmOopQRSWw");
const passedOn = new Set("46AaCKkqvy");
/** Options that say how the host is reached. The others ask for something that a shared connection cannot give. */
const reaching = new Set("bcFIiJlmop");

/**
 * Reads the arguments of a plain `ssh … host command`. Undefined when it asks for more than a command with its streams (a
 * terminal, forwardings, no command …): then it is left as it is.
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
  // A host that looks like an option, or more options behind the host, as ssh allows: rare, and not ours to guess.
  if (host === undefined || host.startsWith("-") || rest.length === 0 || rest[0]!.startsWith("-")) return undefined;
  const words = [...options, host];
  return { destination: { words, name: nameOf(words) }, line: rest.join(" ") };
}

/** The words of one option as they are passed on, and how many more arguments it took. */
function takeOption(word: string, next: string | undefined): { words: string[]; extra: number } | undefined {
  const letters = word.slice(1);
  for (let index = 0; index < letters.length; index++) {
    const letter = letters[index]!;
    // -T and -n are what we do anyway, or the opposite of what a server on stdio needs.
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

/** Over a connection that stands nobody jumps, and ssh takes no -J beside a ProxyCommand. */
export function withoutJumps(words: readonly string[]): string[] {
  return words.filter((word, index) => word !== "-J" && words[index - 1] !== "-J");
}

/** For every ssh of ours: no questions, no terminal, nothing that the user's config adds to an ordinary login. */
export const plain = [
  "BatchMode=yes",
  "RequestTTY=no",
  "RemoteCommand=none",
  "ClearAllForwardings=yes",
  "PermitLocalCommand=no",
  "ForwardX11=no",
  "EscapeChar=none",
  "ControlPersist=no",
];
