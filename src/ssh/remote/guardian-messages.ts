/** Messages of the guardian on a remote machine, which is not trusted: each must be one that the script can send. */

export type RemoteTier = "cgroup" | "subreaper" | "marker";

export interface Greeting {
  type: "ready";
  tier: RemoteTier;
  /** Number of prctl there if a guard can become a subreaper; else "". */
  reaper: string;
  /** Processes of earlier keepers that it ended. */
  swept: number;
  /** The cgroup in which leaves can be made, or "". */
  base: string;
}

export type GuardianMessage =
  | Greeting
  | { type: "unusable"; why: string }
  | { type: "heartbeat"; number: number }
  /** `left`: "" when the run is empty, else what remains. */
  | { type: "ended"; run: string; left: string };

/** The values in guardian.sh: x86_64 and aarch64. */
const reapers = new Set(["157", "167"]);
const baseBytesMax = 4096;

/** Undefined for an invalid line. `only` is the tier that the script was told to take, or "". */
export function readMessage(line: string, only: string): GuardianMessage | undefined {
  const [word = "", first = "", ...rest] = line.split(" ", 64);
  switch (word) {
    case "holdfast-far":
      return readGreeting(first, rest, only);
    case "beat":
      return /^[1-9]\d{0,14}$/.test(first) && rest.length === 0
        ? { type: "heartbeat", number: Number(first) }
        : undefined;
    case "empty":
      return { type: "ended", run: first, left: "" };
    case "left":
      return { type: "ended", run: first, left: pidsIn(rest) || "a cgroup" };
    default:
      return undefined;
  }
}

function readGreeting(word: string, claims: readonly string[], only: string): GuardianMessage {
  if (word === "no-proc") return { type: "unusable", why: "it has no procfs, which the guard there needs" };
  const [tier = "", reaper = "", swept = "", base = "", ...others] = claims;
  const greeting: Greeting = {
    type: "ready",
    tier: tier as RemoteTier, // checked below
    reaper: reaper === "-" ? "" : reaper,
    swept: Number(swept),
    base: base === "-" ? "" : base,
  };
  const isWhole = word === "ready" && others.length === 0 && /^\d{1,9}$/.test(swept) && reaper !== "" && base !== "";
  if (isWhole && isPossible(greeting, only)) return greeting;
  const said = JSON.stringify([word, ...claims].join(" ").slice(0, 200));
  return { type: "unusable", why: `its guard claims what it cannot be: ${said}` };
}

/** A tier needs its requirements: otherwise runs would start without the containment it claims. */
function isPossible({ tier, reaper, base }: Greeting, only: string): boolean {
  if (reaper !== "" && !reapers.has(reaper)) return false;
  if (base !== "" && !isPath(base)) return false;
  switch (tier) {
    case "cgroup":
      return base !== "" && only !== "marker" && (only !== "subreaper" || reaper === "");
    case "subreaper":
      return reaper !== "" && base === "" && only !== "marker";
    case "marker":
      return reaper === "" && base === "";
    default:
      return false;
  }
}

function isPath(text: string): boolean {
  return text.length <= baseBytesMax && /^\/[^\p{Cc}\s]*$/u.test(text);
}

/** Pids of another machine: for display only. */
function pidsIn(words: readonly string[]): string {
  return words.filter((word) => /^[1-9]\d{0,9}$/.test(word)).join(" ");
}
