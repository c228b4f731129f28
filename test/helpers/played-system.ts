/** Programs that are told another system than this one: process.platform and os, before they load anything of their own. */
import { release } from "node:os";

const preload = new URL("../fixtures/play-system.mjs", import.meta.url);

interface Played {
  system: NodeJS.Platform;
  release: string;
}

export const played = {
  /** macOS 14. */
  darwin: { system: "darwin", release: "23.6.0" },
  /** Windows 10. */
  windows: { system: "win32", release: "10.0.19045" },
  /** It has no backend. */
  freebsd: { system: "freebsd", release: "14.1-RELEASE" },
  /** What is there anyway. */
  thisLinux: { system: "linux", release: release() },
  /** Without pidfds. */
  oldLinux: { system: "linux", release: "4.19.0" },
} as const satisfies Record<string, Played>;

/** Node's flags for it. `list`: a file that gets the address of every module that is loaded, a line each. */
export function flagsToPlay(system: Played, list?: string): string[] {
  const query = new URLSearchParams({ ...system, ...(list === undefined ? {} : { list }) });
  return ["--import", `${preload.href}?${query.toString()}`];
}
