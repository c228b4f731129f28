/**
 * The Node.js that everything here needs. Every entry imports this first, and it imports nothing: an older Node.js must be
 * able to read and run it, or its user meets a missing function instead of a sentence.
 */
const majorMin = 24;

/** What is wrong with the running Node.js, in one line; undefined when it is new enough. */
export function nodeVersionProblem(version = process.versions.node): string | undefined {
  if (Number(version.split(".")[0]) >= majorMin) return undefined;
  return `Node.js ${majorMin} or newer is needed, this is ${version} (${process.execPath})`;
}
