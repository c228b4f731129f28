/** Marked processes of this machine. */
import { MarkerScans } from "../marked.ts";
import { system } from "./system.ts";

export const markerScans = new MarkerScans(system);
