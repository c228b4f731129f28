/** Where the user is at home, also where nobody knows. */
import { homedir } from "node:os";

/** `/` for a user without HOME and without an entry in the user database, as in a container that runs as any uid. */
export function homeDirectory(): string {
  try {
    return homedir();
  } catch {
    return "/";
  }
}
