/** The gateway front as an object graph: everything between the network and the channel to its keeper. */
import type { OwnSystem } from "../platform/self/index.ts";
import type { OpenDatabase } from "../private-database.ts";
import type { Sources } from "../random.ts";
import { isLifecycleName } from "../events.ts";
import type { KeeperLink } from "../protocol/keeper/link.ts";
import type { Log } from "../log.ts";
import { adoptSessions } from "../mcp/session/adoption.ts";
import { SessionManager } from "../mcp/session/session-manager.ts";
import { LineEndpoint } from "../mcp/stdio/line-endpoint.ts";
import { BodyReader } from "../mcp/http/body.ts";
import { McpEndpoint } from "../mcp/http/endpoint.ts";
import { ConfigFollower, type ReloadParts } from "../mcp/session/reload.ts";
import { ownTools } from "../mcp/tools/own-tools.ts";
import { StartGate } from "../mcp/servers/start-gate.ts";
import { Nodes } from "../nodes/gateway/nodes.ts";
import { fingerprintOf } from "../protocol/node/proof.ts";
import { Scope } from "../ownership/scope.ts";
import { localRunner, Runners } from "../runs/runners.ts";
import { RunService } from "../runs/service.ts";
import { SessionSet } from "../sessions/set.ts";
import { SessionStore } from "../sessions/store.ts";
import { Access } from "./access.ts";
import { connectionOf } from "./connections/connection.ts";
import { Connections } from "./connections/connections.ts";
import { tellClosed } from "./connections/tell-closed.ts";
import { Drain } from "./drain.ts";
import { EventBus } from "./event-bus.ts";
import { Grants } from "./grants.ts";
import { Heartbeat } from "./heartbeat.ts";
import type { listenAll } from "./listen.ts";
import { MethodDispatcher } from "./dispatch.ts";
import { allHandlers } from "./methods/index.ts";
import { Metrics } from "./metrics.ts";
import { RpcEndpoint } from "./rpc.ts";
import { HttpFace } from "./server.ts";
import { StdioEndpoint } from "./stdio.ts";
import { Throttle } from "./throttle.ts";
import { WebSocketEndpoint } from "./websocket/endpoint.ts";
import { NodeEndpoint } from "./websocket/node-endpoint.ts";

/** What a front stands on besides its keeper; a simulation gives its own. */
export interface FrontSurroundings extends Sources {
  /** Writes one line. */
  log: Log;
  listen: typeof listenAll;
  openDatabase?: OpenDatabase | undefined;
  system?: OwnSystem | undefined;
  /** Ends the front's process. */
  exit: (code: number) => void;
}

/** Builds the front, restores the sessions of the one before it, and listens. Throws when it cannot. */
export async function serve(link: KeeperLink, surroundings: FrontSurroundings): Promise<void> {
  const { config, epoch, frontDir } = link.hello;
  const { clock, random, exit, listen } = surroundings;
  const bus = new EventBus(surroundings);
  const log: Log = (event, fields) => {
    surroundings.log(event, fields);
    if (isLifecycleName(event)) bus.publish(event, fields);
  };
  const heartbeat = new Heartbeat(link, clock);
  const announce = (method: string) => heartbeat.announce(method);
  const connections = new Connections(config.connections, clock, surroundings.system);
  tellClosed(connections, log);
  const face = new HttpFace(config.bind.length, config.tls, { connections, announce, log });
  const scope = new Scope("gateway");
  const store = SessionStore.open(frontDir, epoch, { clock, log }, { open: surroundings.openDatabase });
  const sessions = new SessionSet(scope, surroundings, config.session, log, store);
  const gate = new StartGate(config.startsMax);
  const fingerprint = config.tls === null ? "" : fingerprintOf(config.tls.cert);
  const parts = { config: config.nodes, directory: frontDir, epoch, version: link.hello.version, fingerprint };
  // Only a new front can take over what its file says of nodes and their runs.
  const onFile = () => void link.ask("gateway.restart", { all: false }).catch(() => {});
  const nodes = new Nodes({ clock, random, ...parts, openDatabase: surroundings.openDatabase, onFile, log });
  const local = localRunner((name, params) => link.ask(name, params));
  const runs = new RunService(new Runners([nodes.runner, local]), sessions, clock, log, store);
  const tools = ownTools(config.tools, { link, runs, sessions, nodes });
  const manager = new SessionManager({ link, nodes: nodes.servers, sessions, scope, gate, tools, clock, log });
  const { messageBytesMax, questionMs } = config;
  const bodies = new BodyReader();
  const mcp = new McpEndpoint({ manager, sessions, clock, random, bodies, messageBytesMax, questionMs });
  const take: ReloadParts["take"] = ({ servers, change }) => manager.reload(servers, new Set(change.changed));
  const follower = new ConfigFollower({ link, clock, take });
  const drain = new Drain({ face, connections, sessions, manager, nodes, runs, webSockets: () => face.webSockets });
  link.onDrain((reason) => void drain.run(reason).then(() => exit(0)));
  const grants = new Grants(link.hello.tokens, clock, (socket) =>
    connectionOf(socket)?.close("revoked", connections.time.now),
  );
  link.onEvent(({ name, data }) => bus.publish(name, data));
  link.onTokens((tokens) => {
    const over = grants.replace(tokens);
    sessions.endThoseOf((id) => over.has(id));
  });
  const throttle = new Throttle((address, failures) => log("access.throttled", { address, failures }));
  await adoptSessions({ link, manager, sessions, log });
  // A token may have ended while no front was running.
  const good = new Set(link.hello.tokens.map(({ id }) => id));
  sessions.endThoseOf((id) => !good.has(id));
  follower.begin();
  const scheme = config.tls === null ? ("http" as const) : ("https" as const);
  const { port, addresses, urls } = await listen(face.servers, { ...config, scheme }, log);
  const access = new Access({
    clock,
    grants,
    throttle,
    addresses,
    port,
    scheme,
    allowedHosts: config.allowedHosts,
    allowedOrigins: config.allowedOrigins,
  });
  const dispatcher = new MethodDispatcher({
    handlers: allHandlers({ link, sessions, urls, bus, runs, manager, nodes, follower, clock }),
    announce,
  });
  const webSockets = new WebSocketEndpoint({ connections, access, dispatcher });
  const nodeSockets = new NodeEndpoint({ connections, nodes });
  const lines = new LineEndpoint({ manager, sessions, clock, random, messageBytesMax, questionMs });
  const stdio = new StdioEndpoint({ connections, access, manager, endpoint: lines });
  const sessionKinds = () => sessions.kinds;
  const metrics = new Metrics({ link, connections, heartbeat, throttle, nodes, servers: manager, sessionKinds });
  face.serve({ access, mcp, rpc: new RpcEndpoint(dispatcher, bodies), webSockets, stdio, nodes: nodeSockets, metrics });
  runs.begin();
  link.listening(urls);
}
