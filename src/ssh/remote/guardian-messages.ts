/** What the guardian on a remote machine says. The machine is not trusted: each message is one that the script could have sent. */

export type RemoteTier = "cgroup" | "subreaper" | "marker";

export interface Greeting {
  type: "ready";
  tier: RemoteTier;
  /** Number of prctl there, when a guard can become a subreaper; else "". */
  reaper: string;
  /** Processes of earlier lives that it ended. */
  swept: number;
  /** The cgroup that leaves can be made in, or "". */
  base: string;
}

export type GuardianMessage =
  | Greeting
  | { type: "unusable"; why: string }
  | { type: "heartbeat"; number: number }
  /** `left`: "" when the run is empty, else what stays. */
  | { type: "ended"; run: string; left: string };

/** The numbers that far-guardian.sh knows: x86_64 and aarch64. */
const reapers = new Set(["157", "167"]);
const baseBytesMax = 4096;

/** Undefined for a line that is no message. `only` is the tier that the script was told to take, or "". */
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

/** A tier stands for what it needs: believed without it, runs would start there behind a fence that is not there. */
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

/** They are of another machine: shown, never used here. */
function pidsIn(words: readonly string[]): string {
  return words.filter((word) => /^[1-9]\d{0,9}$/.test(word)).join(" ");
}
