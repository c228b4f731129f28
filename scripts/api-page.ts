/** Writes docs/api.md from the schema of the API; with `--print` to stdout. A test holds the page to the schema. */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { apiPage } from "./api-page/render.ts";

if (process.argv.includes("--print")) process.stdout.write(apiPage());
else writeFileSync(fileURLToPath(new URL("../docs/api.md", import.meta.url)), apiPage());
