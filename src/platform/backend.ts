/**
 * Loads the code of this operating system, and of no other. Synchronously, since CommonJS programs require the library, which
 * may therefore not await while it is loaded.
 */
import { createRequire } from "node:module";
import { extname } from "node:path";

interface Parts {
  readonly index: typeof import("./linux/index.ts") | typeof import("./windows/index.ts");
  readonly self: typeof import("./linux/self.ts") | typeof import("./windows/self.ts");
  readonly become: typeof import("./linux/become.ts") | typeof import("./windows/become.ts");
}

/** Another operating system needs a name here, its parts above, and a directory beside `linux/`. */
const directories: Partial<Record<NodeJS.Platform, string>> = { linux: "linux", win32: "windows" };

export function isSupported(name: NodeJS.Platform): boolean {
  return directories[name] !== undefined;
}

/** On other systems its looks find nothing, and `requirePlatform` refuses every start. */
export function backend<P extends keyof Parts>(part: P): Parts[P] {
  const directory = directories[process.platform] ?? "linux";
  // Source and compiled code differ in their extension; a package has these files, too, as entries of its own.
  const file = `./${directory}/${part}${extname(import.meta.url)}`;
  return createRequire(import.meta.url)(file) as Parts[P];
}
