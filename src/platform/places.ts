/** Directories for this user's files, and how the system compares paths. */
import { homedir } from "node:os";
import { join } from "node:path";
import * as windowsPaths from "./windows-rules/paths.ts";

const isWindows = process.platform === "win32";

/** Whether a path names the same file from every directory, and on Windows from every drive. */
export function isFullPath(path: string): boolean {
  return isWindows ? windowsPaths.isFullPath(path) : path.startsWith("/");
}

/** Whether two full paths are the same to the system. Links count as they are written. */
export function isSamePath(path: string, other: string): boolean {
  return isWindows ? windowsPaths.isSamePath(path, other) : path === other;
}

/** Whether a full path, as `realpath` gives it, is the directory or below it. */
export function isInDirectory(path: string, directory: string): boolean {
  if (isWindows) return windowsPaths.isInDirectory(path, directory);
  return path === directory || path.startsWith(directory.endsWith("/") ? directory : `${directory}/`);
}

/** `/` for a user without HOME and without a user database entry, as in a container with an arbitrary uid. */
export function homeDirectory(): string {
  try {
    return homedir();
  } catch {
    return "/";
  }
}

/** Of the user whose variables these are. */
export function homeOf(variables: Readonly<Record<string, string | undefined>>): string {
  return variables[isWindows ? "USERPROFILE" : "HOME"] ?? homeDirectory();
}

/** `%LOCALAPPDATA%`, which stays on this machine, unlike what a roaming profile copies. */
function localData(): string {
  return process.env["LOCALAPPDATA"] || join(homeDirectory(), "AppData", "Local");
}

/**
 * `$XDG_STATE_HOME/holdfast`, `~/.local/state/holdfast` by default; `%LOCALAPPDATA%\holdfast\state` on Windows. On macOS as on
 * Linux, not below `~/Library/Application Support`: other command line tools do the same, and a path with a space would need
 * quotes in every line to paste.
 */
export function stateDirectory(): string {
  if (isWindows) return join(localData(), "holdfast", "state");
  return join(process.env["XDG_STATE_HOME"] || join(homeDirectory(), ".local", "state"), "holdfast");
}

/** `$XDG_CACHE_HOME/holdfast`, `~/.cache/holdfast` by default; `%LOCALAPPDATA%\holdfast\cache` on Windows. */
export function cacheDirectory(): string {
  if (isWindows) return join(localData(), "holdfast", "cache");
  return join(process.env["XDG_CACHE_HOME"] || join(homeDirectory(), ".cache"), "holdfast");
}
