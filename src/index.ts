/** The exports of `import … from "holdfast"`. No logic here. */
import "./require-node.ts";

export { HoldfastError, type ErrorCode } from "./errors.ts";
export { contain, Contained, type ContainOptions, type Exit, type Member } from "./library/contain.ts";
export { reapOnExit } from "./library/reap-on-exit.ts";
export { ContainedStdioTransport, type ContainedStdioParameters } from "./library/stdio-transport.ts";
