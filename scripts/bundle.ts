/**
 * Makes lib/, the program as it is packed: the modules of dist/ joined into few files, the shell scripts they read, and the
 * declarations that an import of the package reaches. A checkout runs from dist/, where each module is a file of its own.
 */
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  cpSync,
  existsSync,
  globSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { basename, dirname, join, normalize, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown, type Plugin } from "rolldown";

process.chdir(fileURLToPath(new URL("../", import.meta.url)));
const built = spawnSync(process.execPath, ["scripts/build.ts"], { stdio: "inherit" });
if (built.status !== 0) process.exit(1);

/** Programs that are started and modules that are imported by these paths. */
const programs = ["main", "index", "client/index", "gateway/main", "nodes/main", "platform/darwin/coalition-sweeper"];
/** Each is loaded on its system only (platform/backend.ts). */
const backends = ["linux", "windows", "darwin"].flatMap((system) =>
  ["index", "self", "become"].map((part) => `platform/${system}/${part}`),
);
const entries = [...programs, ...backends];
/** Stay modules of their own: they must run before anything that an old Node.js cannot read. */
const versionCheck = ["node-version.js", "require-node.js"];
const fresh = `lib.${process.pid}`;

/** Comes along, without its forty languages: read from its own ninety files it is a third of the time that a start takes. */
const isBundled = (id: string) => id === "zod" || id.startsWith("zod/");

/** Stands for the top of lib/ until it is known in which file of it the code comes to lie. */
const placeholder = "__LIB__/";

/** A module finds the files beside it as before, although its code moves to another file. */
function keepPlaces(): Plugin {
  return {
    name: "keep-places",
    resolveId(id) {
      const name = basename(id);
      return versionCheck.includes(name) ? { id: placeholder + name, external: true } : undefined;
    },
    transform(code, id) {
      const place = relative("dist", id);
      return code.replaceAll("import.meta.url", `new URL("${placeholder}${place}", import.meta.url).href`);
    },
    renderChunk(code, { fileName }) {
      const up = "../".repeat(fileName.split("/").length - 1) || "./";
      const placed = code.replaceAll(placeholder, up);
      // The bundler sorts it among its own imports, and whoever comes first is run first.
      const check = `import "${up}require-node.js";\n`;
      return placed.includes(check) ? check + placed.replace(check, "") : placed;
    },
  };
}

async function bundle(): Promise<void> {
  const bundled = await rolldown({
    input: Object.fromEntries(entries.map((name) => [name, `dist/${name}.js`])),
    platform: "node",
    external: (id) => !/^[./]/.test(id) && !id.startsWith(placeholder) && !isBundled(id),
    plugins: [keepPlaces()],
  });
  await bundled.write({
    dir: fresh,
    format: "esm",
    entryFileNames: "[name].js",
    chunkFileNames: "[name]-[hash].js",
  });
  await bundled.close();
}

/** The declarations that an entry reaches; they name each other as the files that they describe. */
function copyDeclarations(): void {
  const waiting = ["index.d.ts", "client/index.d.ts"];
  const seen = new Set(waiting);
  for (const path of waiting) {
    const text = readFileSync(join("dist", path), "utf8");
    for (const [, target = ""] of text.matchAll(/(?:from|import)\s*\(?\s*"(\.[^"]+)\.[jt]s"/g)) {
      const next = `${normalize(join(dirname(path), target))}.d.ts`;
      if (!seen.has(next)) waiting.push(next);
      seen.add(next);
    }
    mkdirSync(dirname(join(fresh, path)), { recursive: true });
    writeFileSync(join(fresh, path), text.replaceAll(/(["']\.[^"']+)\.ts(["'])/g, "$1.js$2"));
  }
}

function copyScripts(): void {
  for (const script of globSync("src/**/*.{sh,cjs}")) cpSync(script, script.replace("src/", `${fresh}/`));
}

try {
  await bundle();
  for (const name of versionCheck) cpSync(`dist/${name}`, join(fresh, name));
  copyDeclarations();
  copyScripts();
  // Its code is in ours now, and its license asks to be kept with it.
  cpSync("node_modules/zod/LICENSE", join(fresh, "zod.LICENSE"));
  // npm does it at install; a link into a checkout does not.
  chmodSync(`${fresh}/main.js`, 0o755);
  if (existsSync("lib")) renameSync("lib", `${fresh}.old`);
  renameSync(fresh, "lib");
} finally {
  for (const path of [fresh, `${fresh}.old`]) rmSync(path, { recursive: true, force: true });
}
