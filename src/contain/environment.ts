/** The environment that a run gets: a clean base and what its config adds. Nothing of the gateway's own is passed on. */

/** What a program needs to find itself at home; secrets live elsewhere. */
const passedOn = [
  "HOME",
  "LANG",
  "LANGUAGE",
  "LC_ALL",
  "LC_CTYPE",
  "LOGNAME",
  "PATH",
  "SHELL",
  "TERM",
  "TMPDIR",
  "TZ",
  "USER",
];

export function baseEnvironment(source: NodeJS.ProcessEnv = process.env): Record<string, string> {
  const base: Record<string, string> = {};
  for (const name of passedOn) {
    const value = source[name];
    if (value !== undefined) base[name] = value;
  }
  return base;
}
