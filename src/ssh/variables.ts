/** Variables that cannot be passed to a command on a remote host because a shell there interferes. */

const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** A shell computes or protects these itself, so a given value would not reach the command. */
const ownOfShells =
  /^(?:SHELLOPTS|BASHOPTS|BASH_(?:ALIASES|ARGC|ARGV|CMDS|COMMAND|LINENO|SOURCE|SUBSHELL|VERSINFO|XTRACEFD)|BASHPID|DIRSTACK|E?UID|PPID|EPOCH(?:REALTIME|SECONDS)|FUNCNAME|GROUPS|HISTCMD|LINENO|OPTIND|S?RANDOM|SECONDS|SHLVL|_)$/;

/** Why this variable cannot be set over ssh, for an error; undefined if it can. */
export function remoteVariableProblem(name: string): string | undefined {
  const quoted = JSON.stringify(name);
  if (!identifier.test(name)) return `env: ${quoted}: over ssh a name is letters, digits and _ only`;
  if (ownOfShells.test(name)) return `env: ${quoted}: shells set this one themselves, so it cannot be set over ssh`;
  return undefined;
}
