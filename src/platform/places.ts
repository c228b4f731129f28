/** Directories for this user's files. */
import { homedir } from "node:os";
import { join } from "node:path";

/** `/` for a user without HOME and without a user database entry, as in a container with an arbitrary uid. */
export function homeDirectory(): string {
  try {
    return homedir();
  } catch {
    return "/";
  }
}

/** `$XDG_STATE_HOME/holdfast`, `~/.local/state/holdfast` by default. */
export function stateDirectory(): string {
  return join(process.env["XDG_STATE_HOME"] || join(homeDirectory(), ".local", "state"), "holdfast");
}

/** `$XDG_CACHE_HOME/holdfast`, `~/.cache/holdfast` by default. */
export function cacheDirectory(): string {
  return join(process.env["XDG_CACHE_HOME"] || join(homeDirectory(), ".cache"), "holdfast");
}
