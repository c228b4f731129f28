/** Writes the table of what macOS's tiers guarantee into docs/platforms.md, as the contract's play on simulated machines has it. */
import { readFileSync, writeFileSync } from "node:fs";
import { macosColumns } from "../test/platform/contract/guarantees-of-macos.ts";
import { guaranteeTable, replaceTable } from "../test/platform/contract/guarantees.ts";

const page = new URL("../docs/platforms.md", import.meta.url);
writeFileSync(page, replaceTable(readFileSync(page, "utf8"), await guaranteeTable(macosColumns)));
