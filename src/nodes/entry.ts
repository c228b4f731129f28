/** The program of a node's front, for the keeper that starts it. */
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

export const nodeEntry = fileURLToPath(new URL(`./main${extname(import.meta.url)}`, import.meta.url));
