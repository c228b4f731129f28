/** node server-unix.cjs FILE SECONDS [ROLE]: server.cjs for a Unix without /proc. */
require("./server.cjs").play(require("./note-unix.cjs"));
