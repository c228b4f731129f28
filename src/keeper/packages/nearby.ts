/** What npx would look at in the server's own directory before it looks anywhere else. */
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { nameOf, type NpxRequest } from "./npx-words.ts";

/** Why only npx itself may decide there; undefined: nothing of the kind is near. The .npmrc in `home` is read by every npm. */
export function reasonNearby(cwd: string, home: string | undefined, request: NpxRequest): string | undefined {
  for (let directory = resolve(cwd); ; directory = dirname(directory)) {
    // The project's own registry or credentials: npm reads them from there, an installation elsewhere would not.
    const isProject = directory === resolve(cwd) || existsSync(join(directory, "package.json"));
    if (directory !== home && isProject && existsSync(join(directory, ".npmrc"))) return `${directory} has an .npmrc`;
    for (const name of request.packages.map(nameOf)) {
      if (existsSync(join(directory, "node_modules", name))) return `${name} is installed in ${directory}`;
    }
    if (dirname(directory) === directory) return undefined;
  }
}
