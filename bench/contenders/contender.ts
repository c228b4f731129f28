/** What the relay bench compares: anything that carries a tools/call to server-everything and its answer back. */
export interface Contender {
  readonly name: string;
  /** Makes one `echo` call and checks its answer. */
  readonly call: () => Promise<void>;
  /** The process at the top of the relay's tree; undefined when there is no relay. */
  readonly relayPid: number | undefined;
  [Symbol.asyncDispose](): Promise<void>;
}

export const echoCall = (id: number, tool = "echo") =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${tool}","arguments":{"message":"hold fast"}}}`;
/** The same in revision 2026-07-28, which keeps no session: each request says who asks. */
export const statelessCall = (id: number, tool = "echo") =>
  `{"jsonrpc":"2.0","id":${id},"method":"tools/call","params":{"name":"${tool}","arguments":{"message":"hold fast"},"_meta":{"io.modelcontextprotocol/protocolVersion":"2026-07-28","io.modelcontextprotocol/clientInfo":{"name":"bench","version":"1.0.0"},"io.modelcontextprotocol/clientCapabilities":{}}}}`;
export const echoAnswer = "Echo: hold fast";

export const initializeCall = (id: number) =>
  `{"jsonrpc":"2.0","id":${id},"method":"initialize","params":{"protocolVersion":"2025-06-18","capabilities":{},"clientInfo":{"name":"bench","version":"1.0.0"}}}`;
export const initializedNotice = `{"jsonrpc":"2.0","method":"notifications/initialized"}`;
