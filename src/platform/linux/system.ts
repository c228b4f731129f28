/** Linux for the algorithms of ending.ts and sweep.ts. */
import { systemClock } from "../../clock.ts";
import type { System } from "../ending.ts";
import { processes } from "./processes.ts";
import { signalProcess } from "./signals.ts";

export const system: System = { clock: systemClock, processes, signal: signalProcess };
