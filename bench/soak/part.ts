/** One kind of load: what it did, one more step of it, and the end of everything that it holds. */
import type { Gateway } from "../../test/helpers/gateway.ts";
import type { Home } from "../../test/helpers/home.ts";
import type { Random } from "../../test/mcp/helpers/random.ts";

export interface Place {
  readonly home: Home;
  readonly gateway: Gateway;
  readonly random: Random;
}

export interface Part {
  /** Opens of connections, and whatever else it counts; the names stand in the report. */
  readonly done: Record<string, number>;
  step(): Promise<void>;
  /** What must be over before a look, such as a fault under way. */
  settle?(): Promise<void>;
  /** Gives up all that it holds, some of it without a word. */
  rest(): Promise<void>;
}
