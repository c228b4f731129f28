/** Explains a failure of ssh with the remedy; ssh's own last line is always kept. */
import type { Destination } from "./destination.ts";

const known: [RegExp, string][] = [
  [/could not resolve hostname/i, "the host name is unknown; check it and your ssh config"],
  [
    /host key verification failed|host identification has changed/i,
    "its host key is unknown or has changed; connect once by hand, and if it changed find out why before you take the new one (ssh-keygen -R)",
  ],
  [
    /permission denied/i,
    "it refuses the keys that ssh offered; Holdfast never asks for a password: set a key or an agent up for it",
  ],
  [/connection refused/i, "nothing listens there; is sshd running, and is the port right?"],
  [/timed out|timeout/i, "it does not answer"],
  [/no route to host|network is unreachable/i, "there is no way to it through the network"],
  [
    /too many authentication failures/i,
    "ssh offered too many keys; name the right one with IdentityFile and IdentitiesOnly",
  ],
  [
    /session request failed|open refused by peer/i,
    "it takes no more sessions on one connection (MaxSessions); lower ssh.runsPerConnection",
  ],
  [/bad configuration option|terminating, \d+ bad/i, "your ssh config has a mistake"],
];

/** From the end of stderr. */
const saidCharsMax = 8192;

/** The last line of ssh's stderr that gives the reason, else the last with text. */
function lastLine(stderr: string, reason: RegExp | undefined): string {
  const lines = stderr
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter(Boolean);
  return (lines.findLast((line) => reason?.test(line)) ?? lines.at(-1))?.slice(0, 500) ?? "";
}

/** One sentence on why the remote host is unusable. `outcome` says what happened when ssh itself was silent. */
export function explain(destination: Destination, said: string, outcome: string): string {
  const stderr = said.slice(-saidCharsMax);
  const [pattern, reason] = known.find(([each]) => each.test(stderr)) ?? [];
  const line = lastLine(stderr, pattern);
  return [`${destination.name}: ${reason ?? outcome}`, line === "" ? "" : ` (ssh said: ${line})`].join("");
}
