/** Imported first, for its effect, by what other programs import: throws if Node.js is too old for the rest. */
import { nodeVersionProblem } from "./node-version.ts";

const problem = nodeVersionProblem();
// A plain Error, since HoldfastError's module may not load here.
if (problem !== undefined) throw Object.assign(new Error(`holdfast: ${problem}`), { code: "unsupported_node" });
