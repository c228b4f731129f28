/** Simulated machines keep the platform's contract, with both kinds of proof. */
import { seedsFromEnvironment, simulatedBackend } from "./simulated.ts";
import { contractSuite } from "./suite.ts";

for (const proof of ["kernel", "scan"] as const) contractSuite(simulatedBackend(proof, seedsFromEnvironment(32)));
