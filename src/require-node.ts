/** Imported for its effect, first, by what other programs import: throws on a Node.js that is too old for the rest. */
import { nodeVersionProblem } from "./node-version.ts";

const problem = nodeVersionProblem();
// No HoldfastError: its module is part of what may not be read yet.
if (problem !== undefined) throw Object.assign(new Error(`holdfast: ${problem}`), { code: "unsupported_node" });
