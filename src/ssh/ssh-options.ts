/** Options for the ssh processes that Holdfast starts. */

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
