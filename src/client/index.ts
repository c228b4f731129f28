/** What `import … from "holdfast/client"` gives. No logic here. */
import "../require-node.ts";

export { HoldfastError, type ErrorCode } from "../errors.ts";
export type { LifecycleName } from "../events.ts";
export type { MethodName, ParamsOf, ResultOf } from "../protocol/api/index.ts";
export { GatewayClient } from "./rpc.ts";
export type { GatewayAddress } from "./address.ts";
export { HoldfastClient, type ClientOptions } from "./client.ts";
export type { GatewayEvent } from "./events.ts";
