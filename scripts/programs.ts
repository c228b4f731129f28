/**
 * Assembles the little programs of src/platform/linux/programs into images.ts beside them. `--check` compares instead of
 * writing. Needs GNU binutils for both processors (Debian: binutils, binutils-aarch64-linux-gnu).
 */
import { spawnSync } from "node:child_process";
import { globSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";

const sources = fileURLToPath(new URL("../src/platform/linux/programs", import.meta.url));
const target = join(sources, "images.ts");
/** As process.arch names the processors, and what binutils for each of them are called elsewhere. */
const processors = ["arm64", "x64"] as const;
const foreignPrefix = { arm64: "aarch64-linux-gnu-", x64: "x86_64-linux-gnu-" };

function run(directory: string, command: string, args: string[]): void {
  const { status, stderr, error } = spawnSync(command, args, { cwd: directory, encoding: "utf8" });
  if (status !== 0) throw new Error(`${command} ${args.join(" ")}: ${error?.message ?? stderr}`);
}

/** The image of one program, in base64. */
function assemble(arch: (typeof processors)[number], name: string, scratch: string): string {
  const prefix = arch === process.arch ? "" : foreignPrefix[arch];
  const [object, image] = [join(scratch, "object"), join(scratch, "image")];
  run(sources, `${prefix}as`, ["-I.", `-I${arch}`, "-o", object, `${arch}/${name}.s`]);
  run(sources, `${prefix}objcopy`, ["-O", "binary", "-j", ".text", object, image]);
  return readFileSync(image, "base64");
}

/** A property name as the formatter leaves it. */
const keyOf = (name: string) => (/^\w+$/.test(name) ? name : JSON.stringify(name));

function assembleAll(): string {
  const scratch = mkdtempSync(join(tmpdir(), "holdfast-programs-"));
  try {
    const names = globSync(`${sources}/x64/*.s`).map((file) => basename(file, ".s"));
    const programs = names.filter((name) => name !== "system").toSorted();
    const tables = processors.map((arch) => {
      const images = programs.map((name) => `    ${keyOf(name)}: "${assemble(arch, name, scratch)}",\n`);
      return `  ${arch}: {\n${images.join("")}  },\n`;
    });
    return [
      "/** The little programs as ELF files in base64, from the sources beside this file: `node scripts/programs.ts` makes it. */\n\n",
      `export type ProgramName = ${programs.map((name) => `"${name}"`).join(" | ")};\n\n`,
      `export const images: Readonly<Record<string, Readonly<Record<ProgramName, string>>>> = {\n${tables.join("")}};\n`,
    ].join("");
  } finally {
    rmSync(scratch, { recursive: true });
  }
}

const made = assembleAll();
if (process.argv[2] !== "--check") writeFileSync(target, made);
else if (made !== readFileSync(target, "utf8")) {
  console.error("the sources do not assemble to images.ts: run node scripts/programs.ts and look at what changed");
  process.exitCode = 1;
}
