/** Programs of the model that a gateway starts: MCP servers that answer, and commands. */
import type { Process, Program } from "../../src/platform/simulated/process.ts";

interface Message {
  id?: number | string;
  method?: string;
  params?: { name?: string; arguments?: { text?: string } };
}

/** An MCP server on stdio: one tool that says again what it is told, and one that never answers. */
export function mcpServer(options: { children?: number; isDeaf?: boolean } = {}): Program {
  return function* serve(self: Process) {
    const { children = 0, isDeaf = false } = options;
    if (isDeaf) self.ignore("SIGTERM", "SIGINT", "SIGHUP");
    for (let count = 0; count < children; count += 1)
      self.fork(function* helper(child: Process) {
        if (isDeaf) child.setSession();
        for (;;) yield { until: () => false };
      });
    for (;;) {
      const line = self.input?.takeLine();
      if (line !== undefined) {
        const answer = answerTo(JSON.parse(line) as Message);
        if (answer !== undefined) self.print(`${JSON.stringify(answer)}\n`);
        yield undefined;
        continue;
      }
      if (self.input?.isEnded === true && !isDeaf) return 0;
      yield { until: () => self.input?.hasLine === true || (self.input?.isEnded === true && !isDeaf) };
    }
  };
}

function answerTo({ id, method, params }: Message): object | undefined {
  const answer = (result: object) => ({ jsonrpc: "2.0", id, result });
  switch (method) {
    case "initialize":
      return answer({
        protocolVersion: "2025-06-18",
        capabilities: { tools: {} },
        serverInfo: { name: "simulated", version: "1" },
      });
    case "tools/list":
      return answer({ tools: [{ name: "echo", inputSchema: { type: "object" } }] });
    case "tools/call":
      if (params?.name !== "echo") return undefined;
      return answer({ content: [{ type: "text", text: params.arguments?.text ?? "" }] });
    case "ping":
      return answer({});
    default:
      return id === undefined ? undefined : answer({});
  }
}

/** A command that works for a while, prints, and ends by itself. */
export function worker(workMs: number): Program {
  return function* work(self: Process) {
    self.print("begun\n");
    yield { untilMs: self.kernel.nowMs() + workMs };
    self.print("done\n");
    return 0;
  };
}

/** Runs until it is ended; its descendant has a session of its own. */
export const daemon: Program = function* daemon(self: Process) {
  self.fork(function* deeper(child: Process) {
    child.setSession();
    child.fork(function* deepest() {
      for (;;) yield { until: () => false };
    });
    for (;;) yield { until: () => false };
  });
  for (;;) yield { until: () => false };
};

/** Hears only what no process can ignore. */
export const deaf: Program = function* deaf(self: Process) {
  self.ignore("SIGTERM", "SIGINT", "SIGHUP");
  for (;;) yield { until: () => false };
};

/** In the kernel, where not even a kill reaches it, for as long as that. */
export function stuck(isStuck: () => boolean): Program {
  return function* stuckInKernel() {
    for (;;) yield isStuck() ? { uninterruptible: () => !isStuck() } : { until: isStuck };
  };
}

/** Says again what it reads, to the end of its input. */
export const repeat: Program = function* repeat(self: Process) {
  for (;;) {
    const line = self.input?.takeLine();
    if (line !== undefined) self.print(`${line}\n`);
    else if (self.input?.isEnded === true) return 0;
    else yield { until: () => self.input?.hasLine === true || self.input?.isEnded === true };
  }
};
