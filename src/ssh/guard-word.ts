/** The first word of a run's guard on the far side. It comes on stderr, and goes no further. */
import type { ContainedProcess } from "../contain/types.ts";

const word = "holdfast-far up\n";
/** What a login may say before it. */
const noiseBytesMax = 256 * 1024;
/** After its exit, time for the last words of ssh; somebody else may hold the other end. */
const lastWordsMs = 300;

/**
 * Resolves when the guard stands, or with "silent" when it does not within the bound, or when ssh has ended. What else was
 * said on stderr stays in the stream when the guard stands, and is in `said` when it does not.
 */
export function awaitGuard(
  { child, leaderExit }: ContainedProcess,
  boundMs: number,
): Promise<{ outcome: "stands" | "silent" | "ended"; said: string }> {
  const stderr = child.stderr!;
  let heard = Buffer.alloc(0);
  return new Promise((resolve) => {
    const settle = (outcome: "stands" | "silent" | "ended") => {
      clearTimeout(late);
      stderr.off("readable", read);
      stderr.off("close", closed);
      resolve({ outcome, said: heard.toString("utf8") });
    };
    const closed = () => settle("ended");
    const read = () => {
      for (let chunk = stderr.read() as Buffer | null; chunk !== null; chunk = stderr.read() as Buffer | null)
        heard = Buffer.concat([heard, chunk]);
      const at = heard.indexOf(word);
      if (at < 0) return heard.length > noiseBytesMax ? settle("silent") : undefined;
      const others = Buffer.concat([heard.subarray(0, at), heard.subarray(at + word.length)]);
      if (others.length > 0) stderr.unshift(others);
      settle("stands");
    };
    let late = setTimeout(settle, boundMs, "silent");
    stderr.on("readable", read);
    stderr.once("close", closed);
    void leaderExit.then(() => {
      clearTimeout(late);
      late = setTimeout(settle, lastWordsMs, "ended");
    });
  });
}
