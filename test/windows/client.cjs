/**
 * A client of `holdfast mcp` that is to be killed during a call whose answer never comes. Usage: node client.cjs PROGRAM WORD...
 * (what it starts). It prints `calling` when its call must have reached the server. With CLIENT=deaf it has stopped reading by
 * then, with more to read than any pipe holds.
 */
const { spawn } = require("node:child_process");
const { createInterface } = require("node:readline");

const [program, ...words] = process.argv.slice(2);
const message = "häß".repeat(process.env.CLIENT === "deaf" ? 300_000 : 1);
const shim = spawn(program, words, { stdio: ["pipe", "pipe", "inherit"], detached: true, windowsHide: true });
const send = (body) => shim.stdin.write(`${JSON.stringify({ jsonrpc: "2.0", ...body })}\n`);
const call = (id, name, given = {}) => send({ id, method: "tools/call", params: { name, arguments: given } });

const clientInfo = { name: "killed", version: "1" };
send({ id: 1, method: "initialize", params: { protocolVersion: "2025-06-18", capabilities: {}, clientInfo } });
const lines = createInterface({ input: shim.stdout }).on("line", (line) => {
  const { id } = JSON.parse(line);
  if (id === 1) {
    send({ method: "notifications/initialized" });
    call(2, "hang");
    call(3, "echo", { message: "short" });
  }
  if (id !== 3) return;
  if (process.env.CLIENT === "deaf") {
    lines.close();
    shim.stdout.pause();
    for (let index = 4; index < 8; index += 1) call(index, "echo", { message });
  }
  console.log("calling");
});
