/** The ways to hide that trees know, as rows of the report. */
import type { TierName } from "./types.ts";

export interface Attack {
  /** Its name in attack.sh and attack.cjs. */
  name: string;
  title: string;
  only?: TierName;
  /** Needs root. */
  isRoots?: boolean;
  /** Programs beyond a shell and the usual small ones. */
  programs?: string[];
  /** Why the system has no such way. */
  lacking?: string;
  /** The tier that does not promise to end what hides so. */
  bestEffort?: TierName;
}

export const shellAttacks: readonly Attack[] = [
  { name: "group", title: "a process group of its own" },
  { name: "setsid", title: "a session of its own" },
  { name: "double-fork", title: "a double fork" },
  { name: "cleared", title: "an empty environment" },
  { name: "cleared-double-fork", title: "both of these" },
  { name: "disowned", title: "nohup and disown" },
  { name: "own-subreaper", title: "a subreaper of its own" },
  { name: "stopped", title: "a stopped process" },
  { name: "deaf", title: "ignored signals" },
  { name: "chain", title: "an endless chain of forks" },
  { name: "zombie-parent", title: "zombies without a waiting parent" },
  { name: "holds-stdout", title: "the main process leaving first" },
  { name: "pid-namespace", title: "a pid namespace", isRoots: true, programs: ["unshare"] },
  { name: "other-uid", title: "another user's rights", isRoots: true, programs: ["setpriv"] },
  { name: "frozen", title: "a frozen cgroup of its own", only: "cgroup", programs: ["awk"] },
];

/** Why Windows has no such way. */
const lackedByWindows: Readonly<Record<string, string>> = {
  setsid: "a program of Windows cannot make a session",
  disowned: "they belong to shells of Unix",
  "own-subreaper": "Windows has no subreapers",
  "zombie-parent": "Windows has no zombies",
  "pid-namespace": "Windows has no pid namespaces",
  "other-uid": "it needs another user's password",
  frozen: "Windows has no cgroups",
};

/** Why macOS has no such way. */
const lackedByMacos: Readonly<Record<string, string>> = {
  "own-subreaper": "macOS has no subreapers",
  "pid-namespace": "macOS has no pid namespaces",
  "other-uid": "it needs another user's password",
  frozen: "macOS has no cgroups",
};

const without = (lacked: Readonly<Record<string, string>>): Attack[] =>
  shellAttacks.map(({ name, title }) => {
    const lacking = lacked[name];
    return { name, title, ...(lacking === undefined ? {} : { lacking }) };
  });

/** All that the shell's trees know, and what only Windows has. */
export const windowsAttacks: readonly Attack[] = [
  ...without(lackedByWindows),
  { name: "breakaway", title: "a request to leave the job" },
  { name: "other-parent", title: "another process as its parent" },
];

/** What the chain of forks cannot show once the parent is gone (docs/platforms.md). */
const beyondChain = new Set(["cleared-double-fork", "chain", "late-exec"]);

/** And what only the chain of forks fears. */
export const macosAttacks: readonly Attack[] = [
  ...without(lackedByMacos),
  { name: "late-exec", title: "another program after the parent's end" },
].map((attack) => (beyondChain.has(attack.name) ? { ...attack, bestEffort: "chain" } : attack));
