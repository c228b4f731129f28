/** Which `sh` stands between us and a command, and where our scripts are. */
import { accessSync, constants } from "node:fs";
import { fileURLToPath } from "node:url";

export function scriptPath(
  name: "guard.sh" | "guardian.sh" | "outer.sh" | "run-guard.sh" | "run.sh" | "tree.sh",
): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** dash and busybox drop environment entries whose name is not an identifier (`npm_config_//host/:x`); bash keeps them. */
const identifier = /^[A-Za-z_][A-Za-z0-9_]*$/;

/** `/bin/sh`, or bash for an environment that a plain sh would lose parts of. */
export function shellFor(env: Record<string, string>): string {
  if (Object.keys(env).every((name) => identifier.test(name))) return "/bin/sh";
  for (const bash of ["/bin/bash", "/usr/bin/bash", "/usr/local/bin/bash"]) {
    try {
      accessSync(bash, constants.X_OK);
      return bash;
    } catch {
      // not here
    }
  }
  return "/bin/sh";
}
