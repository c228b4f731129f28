/**
 * Loads the code of this operating system, and of no other. Synchronously, since CommonJS programs require the library, which
 * may therefore not await while it is loaded.
 */
import { createRequire } from "node:module";
import { extname } from "node:path";
import { HoldfastError } from "../errors.ts";

interface Parts {
  readonly index:
    | typeof import("./linux/index.ts")
    | typeof import("./darwin/index.ts")
    | typeof import("./windows/index.ts");
  readonly self:
    | typeof import("./linux/self.ts")
    | typeof import("./darwin/self.ts")
    | typeof import("./windows/self.ts");
  readonly become:
    | typeof import("./linux/become.ts")
    | typeof import("./darwin/become.ts")
    | typeof import("./windows/become.ts");
}

/** Another operating system needs a name here, its parts above, and a directory beside `linux/`. */
const directories: Partial<Record<NodeJS.Platform, string>> = { linux: "linux", darwin: "darwin", win32: "windows" };

function isSupported(name: NodeJS.Platform): boolean {
  return directories[name] !== undefined;
}

/** Throws without a backend, before anything is opened or written. */
export function requirePlatform(name: NodeJS.Platform = process.platform): void {
  if (isSupported(name)) return;
  const message = `Holdfast has no containment for ${name} yet: it runs on Linux and, as previews, on macOS and Windows`;
  throw new HoldfastError("unsupported_platform", message);
}

/** On other systems its looks find nothing, and `requirePlatform` refuses every start. */
export function backend<P extends keyof Parts>(part: P): Parts[P] {
  const directory = directories[process.platform] ?? "linux";
  // Source and compiled code differ in their extension; a package has these files, too, as entries of its own.
  const file = `./${directory}/${part}${extname(import.meta.url)}`;
  return createRequire(import.meta.url)(file) as Parts[P];
}
