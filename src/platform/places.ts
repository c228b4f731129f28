/** Where files of this user are kept. */
import { homedir } from "node:os";
import { join } from "node:path";

/** `/` for a user without HOME and without an entry in the user database, as in a container that runs as any uid. */
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
