/**
 * node server.cjs FILE SECONDS [ROLE]: server.sh for Windows, an MCP server that ignores everything polite, with five helpers that
 * hide. It answers `initialize` once all six are listed in FILE.
 */
const { createInterface } = require("node:readline");

const [, self, file, seconds, role = "server"] = process.argv;
const processes = 6;

function answer(line) {
  const { id, method } = JSON.parse(line);
  if (id === undefined) return;
  const serverInfo = { name: "selftest", version: "1" };
  const result = method === "initialize" ? { protocolVersion: "2025-06-18", capabilities: {}, serverInfo } : {};
  process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id, result })}\n`);
}

/** With the interface of note.cjs. */
function play({ cleared, note, start, stay, whenListed }) {
  const begin = (nextRole, options) => start([self, file, seconds, nextRole], options);
  for (const signal of ["SIGINT", "SIGBREAK", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});
  if (role.startsWith("between-")) {
    begin(role.slice("between-".length), { env: process.env }); // and leaves
    return;
  }
  note(file, role);
  stay(seconds);
  if (role !== "server") return;
  begin("group");
  begin("inner");
  begin("cleared", { env: cleared });
  begin("between-double-forked");
  begin("between-cleared-double-forked", { env: cleared });
  const lines = createInterface({ input: process.stdin }).pause();
  lines.on("line", answer);
  process.stdin.on("error", () => {});
  process.stdout.on("error", () => {});
  whenListed(file, processes, () => lines.resume());
}

if (require.main === module) play(require("./note.cjs"));
module.exports = { play };
