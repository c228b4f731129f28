/** Compiles src/ to dist/ and lays the shell scripts and the self-test's programs beside it. Skips the work when dist/ is newer than every source. */
import { spawnSync } from "node:child_process";
import { chmodSync, cpSync, existsSync, globSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
process.chdir(root);
const stamp = "dist/.built";
const sources = [...globSync("src/**/*.{ts,sh,cjs}"), "tsconfig.json", "tsconfig.build.json", "package-lock.json"];
const builtAt = statSync(stamp, { throwIfNoEntry: false })?.mtimeMs ?? 0;
if (sources.every((file) => statSync(file).mtimeMs < builtAt)) process.exit(0);
// Beside it and then renamed: a gateway or a test that runs from dist/ meanwhile never sees half of one.
const fresh = `dist.${process.pid}`;
const compiler = "node_modules/typescript/bin/tsc";
const built = spawnSync(process.execPath, [compiler, "-p", "tsconfig.build.json", "--outDir", fresh], {
  stdio: "inherit",
});
if (built.status !== 0) {
  rmSync(fresh, { recursive: true, force: true });
  process.exit(1);
}
for (const script of globSync("src/**/*.{sh,cjs}")) cpSync(script, script.replace("src/", `${fresh}/`));
// The package's program: npm would do it at install, a link into a checkout does not.
chmodSync(`${fresh}/main.js`, 0o755);
writeFileSync(`${fresh}/.built`, "");
if (existsSync("dist")) renameSync("dist", `${fresh}.old`);
renameSync(fresh, "dist");
rmSync(`${fresh}.old`, { recursive: true, force: true });
