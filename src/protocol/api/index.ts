/** Every API method; handlers, client, docs page and tests follow from this table. */
import type { z } from "zod";
import { gatewayApi } from "./gateway.ts";
import { eventsApi } from "./events.ts";
import { mcpApi } from "./mcp.ts";
import { nodeApi } from "./node.ts";
import { runApi } from "./run.ts";
import { sessionApi } from "./session.ts";

export const api = { ...gatewayApi, ...runApi, ...sessionApi, ...mcpApi, ...nodeApi, ...eventsApi };

type Api = typeof api;
export type MethodName = keyof Api;
/** As clients write them: defaults may be omitted. */
export type ParamsOf<N extends MethodName> = z.input<Api[N]["params"]>;
/** As handlers read them: checked, with defaults. */
export type ReadParamsOf<N extends MethodName> = z.output<Api[N]["params"]>;
export type ResultOf<N extends MethodName> = z.output<Api[N]["result"]>;
/** The methods whose names begin with `<S>.`. */
export type MethodsOf<S extends string> = Extract<MethodName, `${S}.${string}`>;
