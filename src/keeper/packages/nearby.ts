/** Files near the server's directory that npx would consult first. */
import { existsSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { nameOf, type NpxRequest } from "./npx-words.ts";

/** The reason to leave the server to npx; undefined: none of these files is near. Every npm reads the .npmrc in `home`. */
export function reasonNearby(cwd: string, home: string | undefined, request: NpxRequest): string | undefined {
  for (let directory = resolve(cwd); ; directory = dirname(directory)) {
    // The project's own registry or credentials: npm reads them there, but not during an installation elsewhere.
    const isProject = directory === resolve(cwd) || existsSync(join(directory, "package.json"));
    if (directory !== home && isProject && existsSync(join(directory, ".npmrc"))) return `${directory} has an .npmrc`;
    for (const name of request.packages.map(nameOf)) {
      if (existsSync(join(directory, "node_modules", name))) return `${name} is installed in ${directory}`;
    }
    if (dirname(directory) === directory) return undefined;
  }
}
