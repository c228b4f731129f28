/** Linux keeps the platform's contract on both tiers, with real processes. */
import { leavesNothing } from "../../helpers/no-leaks.ts";
import { tiersToTest } from "../../helpers/tiers.ts";
import { linuxBackend } from "./linux.ts";
import { contractSuite } from "./suite.ts";

leavesNothing();
for (const tier of tiersToTest()) contractSuite(linuxBackend(tier));
