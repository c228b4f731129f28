/** The program of a node's front, started by the keeper. */
import { extname } from "node:path";
import { fileURLToPath } from "node:url";

export const nodeEntry = fileURLToPath(new URL(`./main${extname(import.meta.url)}`, import.meta.url));
