/** The code for macOS keeps the platform's contract on simulated machines, but for what no look can see. */
import { seedsFromEnvironment } from "./simulated.ts";
import { chainBackend, coalitionBackend } from "./simulated-xnu.ts";
import { contractSuite } from "./suite.ts";

contractSuite(chainBackend(seedsFromEnvironment(32)));
contractSuite(coalitionBackend(seedsFromEnvironment(32)));
