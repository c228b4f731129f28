/** Every method of the API, one table: handlers, client, docs page and tests are all held to it. */
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
/** As a client writes them: what has a default may be left out. */
export type ParamsOf<N extends MethodName> = z.input<Api[N]["params"]>;
/** As a handler reads them: checked, defaults filled in. */
export type ReadParamsOf<N extends MethodName> = z.output<Api[N]["params"]>;
export type ResultOf<N extends MethodName> = z.output<Api[N]["result"]>;
/** The methods whose names begin with `<S>.`. */
export type MethodsOf<S extends string> = Extract<MethodName, `${S}.${string}`>;
