/** Linux as the endings of ending.ts and sweep.ts need it. */
import { systemClock } from "../../clock.ts";
import type { System } from "../ending.ts";
import { processes } from "./processes.ts";
import { signalProcess } from "./signals.ts";

export const system: System = { clock: systemClock, processes, signal: signalProcess };
