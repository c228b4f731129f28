/**
 * An MCP server over stdio for the suites under wine, with the tools `echo`, `late`, which takes its time, and `hang`,
 * which never answers. Usage: node server.cjs NAME [stubborn]. A stubborn one ignores the end of its input and hides two
 * generations of helpers, detached and in a nearly empty environment.
 */
const { spawn } = require("node:child_process");
const { createInterface } = require("node:readline");

const [, self, name = "server", role = "plain"] = process.argv;
const hidden = { detached: true, stdio: "ignore", windowsHide: true };
const stay = () => setInterval(() => {}, 1_000_000);

/** So late that `holdfast mcp` has looked several times for its client. */
const lateMs = 800;
const tools = {
  echo: ({ message }) => message,
  late: ({ message }) => new Promise((resolve) => setTimeout(resolve, lateMs, message)),
  hang: () => new Promise(() => {}),
};

async function answer({ method, params }) {
  if (method === "initialize")
    return {
      protocolVersion: params.protocolVersion,
      capabilities: { tools: {} },
      serverInfo: { name, version: "1.0.0" },
    };
  if (method === "tools/list")
    return { tools: Object.keys(tools).map((each) => ({ name: each, inputSchema: { type: "object" } })) };
  if (method === "tools/call") return { content: [{ type: "text", text: await tools[params.name](params.arguments) }] };
  return {};
}

function serve() {
  createInterface({ input: process.stdin })
    .on("line", async (line) => {
      const message = JSON.parse(line);
      if (message.id === undefined) return;
      const result = await answer(message);
      process.stdout.write(`${JSON.stringify({ jsonrpc: "2.0", id: message.id, result })}\n`);
    })
    .on("close", () => {
      if (role !== "stubborn") process.exit(0);
    });
}

if (role === "inner") {
  stay();
} else if (role === "outer") {
  const env = { SystemRoot: process.env.SystemRoot };
  spawn(process.execPath, [self, name, "inner"], { ...hidden, env }).unref();
  setTimeout(() => process.exit(0), 200);
} else {
  if (role === "stubborn") {
    for (let index = 0; index < 2; index += 1) spawn(process.execPath, [self, name, "outer"], hidden).unref();
    stay();
  }
  serve();
}
