/** What other users may do with a file: its mode on Unix, its access control list on Windows. */
import { backend } from "./backend.ts";

export const { keepPrivate, looksBlockRename, othersAccess, privateRemedy } = backend("self");
