/** `holdfast completion`: a shell script generated from the parser's command line. */
import type { Command, Option } from "commander";

export const shells = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof shells)[number];

/** A command by its path, e.g. `sessions list`; the program itself is "". */
interface Place {
  path: string;
  /** Subcommands with their descriptions. */
  commands: [name: string, description: string][];
  options: Option[];
}

export function completion(shell: Shell, program: Command): string {
  const places = placesOf(program, "");
  const make = { bash: bashScript, zsh: zshScript, fish: fishScript };
  return make[shell](places);
}

function placesOf(command: Command, path: string): Place[] {
  const help = command.createHelp();
  const commands = help.visibleCommands(command).filter((one) => one.name() !== "help");
  const own: Place = {
    path,
    commands: commands.map((one) => [one.name(), firstWords(one.description())]),
    options: help.visibleOptions(command),
  };
  return [own, ...commands.flatMap((one) => placesOf(one, `${path} ${one.name()}`.trim()))];
}

function firstWords(description: string): string {
  return description.split(/[;:(]/)[0]?.trim() ?? "";
}

function flagsOf(option: Option): string[] {
  return [option.short, option.long].filter((flag) => flag !== undefined && flag !== null);
}

function takesValue(option: Option): boolean {
  return option.required || option.optional;
}

/** Options of all commands, without duplicates. */
function allOptions(places: Place[]): Option[] {
  const byFlags = new Map(places.flatMap(({ options }) => options).map((option) => [option.flags, option]));
  return [...byFlags.values()];
}

/** The patterns of a `case`: flags that take a value, and those that take one from a list. */
function valueCases(places: Place[]): { flags: string[]; choices: [flags: string[], values: readonly string[]][] } {
  const options = allOptions(places).filter(takesValue);
  const choices = options.filter(({ argChoices }) => argChoices !== undefined);
  return {
    flags: [...new Set(options.flatMap(flagsOf))],
    choices: choices.map((option) => [flagsOf(option), option.argChoices ?? []]),
  };
}

/** Global options are valid everywhere. */
function wordsAt(place: Place, root: Place | undefined): string[] {
  const options = [...place.options, ...(root?.options ?? [])].flatMap(flagsOf);
  return [...new Set([...place.commands.map(([name]) => name), ...options])];
}

/** Finds the command named by the words before the cursor; bash and zsh differ only in the array. */
function walk(places: Place[], words: string, from: string, end: string): string[] {
  const { flags } = valueCases(places);
  const known = places.filter(({ path }) => path !== "").map(({ path }) => `"${path}"`);
  return [
    `  for ((i = ${from}; i < ${end}; i++)); do`,
    `    word=\${${words}[i]}`,
    "    if [[ $word == -- ]]; then after=1; break; fi",
    `    case "$word" in ${flags.join("|")}) ((i += 1)); continue ;; esac`,
    `    case "\${place:+$place }$word" in ${known.join("|")}) place="\${place:+$place }$word" ;; esac`,
    "  done",
  ];
}

function bashScript(places: Place[]): string {
  const [root] = places;
  const { flags, choices } = valueCases(places);
  const lines = [
    '# bash completion for holdfast: source it, e.g. eval "$(holdfast completion bash)"',
    "_holdfast() {",
    '  local cur=${COMP_WORDS[COMP_CWORD]} prev="" place="" word words="" after="" i',
    "  if ((COMP_CWORD > 0)); then prev=${COMP_WORDS[COMP_CWORD - 1]}; fi",
    "  COMPREPLY=()",
    ...walk(places, "COMP_WORDS", "1", "COMP_CWORD"),
    '  if [[ -n $after ]]; then COMPREPLY=($(compgen -c -- "$cur")); return; fi',
    '  case "$prev" in',
    ...choices.map(
      ([names, values]) =>
        `    ${names.join("|")}) COMPREPLY=($(compgen -W "${values.join(" ")}" -- "$cur")); return ;;`,
    ),
    `    ${flags.join("|")}) return ;;`,
    "  esac",
    '  case "$place" in',
    ...places.map((place) => `    "${place.path}") words="${wordsAt(place, root).join(" ")}" ;;`),
    "  esac",
    '  COMPREPLY=($(compgen -W "$words" -- "$cur"))',
    "}",
    "complete -o default -F _holdfast holdfast",
  ];
  return `${lines.join("\n")}\n`;
}

/** A description, quoted for single quotes and after a colon. */
function described(name: string, description: string): string {
  return `'${`${name}:${description}`.replaceAll("'", String.raw`'\''`)}'`;
}

function zshScript(places: Place[]): string {
  const [root] = places;
  const { flags, choices } = valueCases(places);
  const globals = root?.options ?? [];
  const wordsOf = (place: Place) =>
    [
      ...place.commands.map(([name, what]) => described(name, what)),
      ...[...new Set([...place.options, ...globals])].flatMap((option) =>
        flagsOf(option).map((flag) => described(flag, firstWords(option.description))),
      ),
    ].join(" ");
  const lines = [
    "#compdef holdfast",
    '# zsh completion for holdfast: put it as _holdfast into a directory of $fpath, or eval "$(holdfast completion zsh)"',
    "_holdfast() {",
    '  local place="" word after="" i',
    "  local -a found",
    ...walk(places, "words", "2", "CURRENT"),
    "  if [[ -n $after ]]; then _command_names; return; fi",
    '  case "${words[CURRENT - 1]}" in',
    ...choices.map(([names, values]) => `    ${names.join("|")}) compadd -- ${values.join(" ")}; return ;;`),
    `    ${flags.join("|")}) _files; return ;;`,
    "  esac",
    '  case "$place" in',
    ...places.map((place) => `    "${place.path}") found=(${wordsOf(place)}) ;;`),
    "  esac",
    "  _describe holdfast found || _files",
    "}",
    'if [[ "$funcstack[1]" == _holdfast ]]; then _holdfast "$@"; else compdef _holdfast holdfast; fi',
  ];
  return `${lines.join("\n")}\n`;
}

function fishScript(places: Place[]): string {
  const { flags } = valueCases(places);
  const known = places.filter(({ path }) => path !== "").map(({ path }) => `"${path}"`);
  const quote = (text: string) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", String.raw`\'`)}'`;
  const optionLine = (option: Option, condition: string) => {
    const names = [
      ...(option.short === undefined ? [] : [`-s ${option.short.slice(1)}`]),
      ...(option.long === undefined || option.long === null ? [] : [`-l ${option.long.slice(2)}`]),
    ];
    const value =
      option.argChoices === undefined
        ? takesValue(option)
          ? " -r"
          : ""
        : ` -x -a ${quote(option.argChoices.join(" "))}`;
    return `complete -c holdfast${condition} ${names.join(" ")}${value} -d ${quote(firstWords(option.description))}`;
  };
  const lines = [
    "# fish completion for holdfast: holdfast completion fish > ~/.config/fish/completions/holdfast.fish",
    "function __holdfast_place",
    '    set -l place ""',
    "    set -l skip 0",
    "    for word in (commandline -opc)[2..]",
    '        if test "$word" = --',
    "            return 1",
    "        end",
    "        if test $skip = 1",
    "            set skip 0",
    `        else if contains -- $word ${flags.join(" ")}`,
    "            set skip 1",
    `        else if contains -- (string trim -- "$place $word") ${known.join(" ")}`,
    '            set place (string trim -- "$place $word")',
    "        end",
    "    end",
    '    test "$place" = "$argv"',
    "end",
    ...places.flatMap(({ path, commands, options }) => {
      const condition = ` -n '__holdfast_place "${path}"'`;
      const subcommands = commands.map(
        ([name, what]) => `complete -c holdfast${condition} -f -a ${name} -d ${quote(what)}`,
      );
      // The program's own options are valid after every command.
      return [...subcommands, ...options.map((option) => optionLine(option, path === "" ? "" : condition))];
    }),
  ];
  return `${lines.join("\n")}\n`;
}
