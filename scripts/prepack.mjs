/** What `npm pack` and `npm publish` run first. Plain JavaScript: without `npm ci` the Node.js here may be one that reads no TypeScript. */
import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../", import.meta.url));
const needed = ["node_modules/.bin/node", "node_modules/typescript", "node_modules/rolldown"];
const missing = needed.filter((path) => !existsSync(root + path));
if (missing.length > 0) {
  console.error(
    `holdfast: packing needs the development dependencies (no ${missing.join(", ")}). Run \`npm ci\` first.`,
  );
  process.exit(1);
}
const { status, error } = spawnSync(`${root}node_modules/.bin/node`, ["scripts/bundle.ts"], {
  cwd: root,
  stdio: "inherit",
});
if (error !== undefined) console.error(`holdfast: ${error.message}`);
process.exit(status ?? 1);
