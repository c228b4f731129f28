/** The code for macOS keeps the platform's contract on simulated machines, but for what no look can see. */
import { seedsFromEnvironment } from "./simulated.ts";
import { chainBackend } from "./simulated-xnu.ts";
import { contractSuite } from "./suite.ts";

contractSuite(chainBackend(seedsFromEnvironment(32)));
