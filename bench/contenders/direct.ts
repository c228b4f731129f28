/** No relay at all: lines straight into the server's stdin. */
import { spawn } from "node:child_process";
import { everythingFile } from "../../test/helpers/servers.ts";
import { echoAnswer, echoCall, initializeCall, initializedNotice, type Contender } from "./contender.ts";
import { LineServer } from "./lines.ts";

export async function startDirect(): Promise<Contender> {
  const server = new LineServer(
    spawn(process.execPath, [everythingFile(), "stdio"], { stdio: ["pipe", "pipe", "ignore"] }),
  );
  let id = 1;
  await new Promise<void>((resolve) => server.ask(0, initializeCall(0), () => resolve()));
  server.tell(initializedNotice);
  return {
    name: "direct stdio",
    relayPid: undefined,
    call: () =>
      new Promise<void>((resolve, reject) => {
        const mine = id++;
        server.ask(mine, echoCall(mine), (line) => {
          if (line.includes(echoAnswer)) resolve();
          else reject(new Error(`direct: ${line}`));
        });
      }),
    [Symbol.asyncDispose]: () => server.end(),
  };
}
