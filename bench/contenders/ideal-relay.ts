/**
 * The ceiling: node:http in front, raw lines behind, in one process, and nothing else. No session, no check, no copy of an id,
 * no owner of anything. No relay over node:http can be faster; the only question is how near one comes.
 * Usage: node ideal-relay.ts SERVER-FILE. Prints its port.
 */
import { spawn } from "node:child_process";
import http from "node:http";
import type { AddressInfo } from "node:net";
import { LineServer, idOf } from "./lines.ts";

const [, , serverFile = ""] = process.argv;
const child = spawn(process.execPath, [serverFile, "stdio"], { stdio: ["pipe", "pipe", "ignore"] });
const server = new LineServer(child);

const listener = http.createServer((request, response) => {
  let body = "";
  request.setEncoding("utf8").on("data", (chunk: string) => (body += chunk));
  request.on("end", () => {
    const id = idOf(body);
    if (id === undefined) {
      server.tell(body);
      response.writeHead(202).end();
      return;
    }
    server.ask(id, body, (line) => {
      response.writeHead(200, { "content-type": "application/json", "content-length": Buffer.byteLength(line) });
      response.end(line);
    });
  });
});
listener.listen(0, "127.0.0.1", () => console.log((listener.address() as AddressInfo).port));
// The bench holds the other end of stdin: when the bench is gone, so is this.
process.stdin.resume().on("end", () => {
  child.kill("SIGKILL");
  process.exit(0);
});
