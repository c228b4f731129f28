/**
 * The required Node.js version. Every entry imports this first, and it imports nothing: an older Node.js must be able to
 * load it, so that its user gets a clear message instead of a missing function.
 */
const majorMin = 24;

/** What is wrong with the running Node.js, in one line; undefined if it is new enough. */
export function nodeVersionProblem(version = process.versions.node): string | undefined {
  if (Number(version.split(".")[0]) >= majorMin) return undefined;
  return `Node.js ${majorMin} or newer is needed, this is ${version} (${process.execPath})`;
}
