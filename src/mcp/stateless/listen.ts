/** `subscriptions/listen`: one open response that reports the changes its client asked for. */
import type { Clock } from "../../clock.ts";
import { answerText, isObject } from "../wire/json-rpc.ts";
import { downFault, unknownFault } from "../wire/faults.ts";
import type { AggregateSession } from "../session/aggregate-session.ts";
import { readEnvelope } from "../wire/envelope.ts";
import type { Numbers } from "../wire/numbers.ts";
import { Call, callParams, SilentReply, type Changes, type StreamableReply } from "../wire/call.ts";
import type { Listener, StatelessClient } from "./stateless-client.ts";
import type { StatelessCall } from "./stateless-call.ts";

/** Resources per listener. */
const urisMax = 1000;

/** Change notifications, and the server capability behind each. */
const kinds = { toolsListChanged: "tools", promptsListChanged: "prompts", resourcesListChanged: "resources" } as const;

interface Filter {
  toolsListChanged?: true;
  promptsListChanged?: true;
  resourcesListChanged?: true;
  resourceSubscriptions?: string[];
}

export interface ListenParts {
  open: AggregateSession;
  side: StatelessClient;
  /** The request, until a stream answers it. */
  call: StatelessCall;
  reply: StreamableReply;
  numbers: Numbers;
  clock: Clock;
}

/** Never rejects: failures are answered, or missing from the acknowledgment. */
export async function listen(parts: ListenParts, body: Buffer): Promise<void> {
  const { open, call } = parts;
  const { params } = JSON.parse(body.toString("utf8")) as { params?: { notifications?: unknown } };
  const asked = params?.notifications;
  if (!isObject(asked))
    return call.fail(unknownFault("params.notifications is missing", "it names what to listen for"));
  open.client.begin(call);
  try {
    const { capabilities } = await open.introduce();
    await open.mergedCatalog.merged(); // every change from here on is noticed
    const filter = await new Granting(parts).grant(asked, capabilities);
    if (call.done) return forgetAll(parts, filter);
    new ListenStream(parts, filter).begin();
  } catch (thrown) {
    call.fail(downFault(thrown));
  }
}

/** Determines which of the requested notifications are available. */
class Granting {
  readonly #parts: ListenParts;

  constructor(parts: ListenParts) {
    this.#parts = parts;
  }

  async grant(asked: Record<string, unknown>, capabilities: Record<string, unknown>): Promise<Filter> {
    const filter: Filter = {};
    const offers = (name: string) => (isObject(capabilities[name]) ? capabilities[name] : {});
    for (const [kind, name] of Object.entries(kinds))
      if (asked[kind] === true && offers(name)["listChanged"] === true) filter[kind as keyof typeof kinds] = true;
    const uris = asked["resourceSubscriptions"];
    if (!Array.isArray(uris) || offers("resources")["subscribe"] !== true) return filter;
    const named = [...new Set(uris.filter((uri) => typeof uri === "string"))].slice(0, urisMax);
    const taken = await Promise.all(named.map((uri) => want(this.#parts, uri)));
    filter.resourceSubscriptions = named.filter((_, at) => taken[at]);
    return filter;
  }
}

/** Adds a listener to a resource; the first one subscribes at the server, with the same outcome for all. */
async function want(parts: ListenParts, uri: string): Promise<boolean> {
  const { wanted, subscriptions } = parts.side;
  let wish = wanted.get(uri);
  if (wish === undefined) wanted.set(uri, (wish = { listeners: 0, isTaken: ask(parts, "resources/subscribe", uri) }));
  wish.listeners++;
  if (await wish.isTaken) return true;
  drop(parts.side, uri);
  subscriptions.delete(uri);
  return false;
}

/** True: no listener is left. */
function drop({ wanted }: StatelessClient, uri: string): boolean {
  const wish = wanted.get(uri);
  if (wish === undefined || --wish.listeners > 0) return false;
  wanted.delete(uri);
  return true;
}

/** The listener is gone; the last one unsubscribes at the server. */
function forgetAll(parts: ListenParts, { resourceSubscriptions = [] }: Filter): void {
  for (const uri of resourceSubscriptions)
    if (drop(parts.side, uri) && !parts.open.session.ended) void ask(parts, "resources/unsubscribe", uri);
}

/** Sends a client-style request of a session-based revision. False: the server refuses. */
function ask({ open, numbers, clock }: ListenParts, method: string, uri: string): Promise<boolean> {
  const body = Buffer.from(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { uri } }));
  const envelope = readEnvelope(body);
  const reply = new SilentReply();
  const params = callParams(envelope, body, { number: numbers.next(), startedAt: clock.monotonic() });
  open.request(new Call(params, reply, open.client), envelope, body);
  return reply.isTaken;
}

class ListenStream implements Listener {
  readonly #parts: ListenParts;
  readonly #filter: Filter;
  readonly #uris: Set<string>;
  readonly #stream: Changes;
  /** The request's id as written, the client's name for this subscription. */
  readonly #id: string;

  constructor(parts: ListenParts, filter: Filter) {
    this.#parts = parts;
    this.#filter = filter;
    this.#uris = new Set(filter.resourceSubscriptions);
    this.#id = parts.call.params.clientId;
    const leaveLease = parts.open.session.lease.hold();
    this.#stream = parts.call.becomeStream(parts.reply, () => {
      parts.side.listeners.delete(this);
      forgetAll(parts, filter);
      leaveLease();
    });
  }

  begin(): void {
    this.#say("notifications/subscriptions/acknowledged", { notifications: this.#filter });
    this.#parts.side.listeners.add(this);
  }

  listChanged(what: string): void {
    const wants = Object.entries(kinds).some(
      ([kind, name]) => name === what && this.#filter[kind as keyof typeof kinds],
    );
    if (wants) this.#say(`notifications/${what}/list_changed`, {});
  }

  updated(uri: string): void {
    if (this.#uris.has(uri)) this.#say("notifications/resources/updated", { uri });
  }

  heartbeat(now: number): void {
    this.#stream.heartbeat(now);
  }

  /** Ends the stream from this side: the request gets its answer. */
  end(): void {
    const result = `{"resultType":"complete","_meta":${this.#meta()}}`;
    this.#stream.send(answerText(this.#id, result));
    this.#stream.end();
  }

  #say(method: string, params: object): void {
    const rest = JSON.stringify(params).slice(1);
    const comma = rest === "}" ? "" : ",";
    const text = `{"jsonrpc":"2.0","method":${JSON.stringify(method)},"params":{"_meta":${this.#meta()}${comma}${rest}}`;
    this.#stream.send(Buffer.from(text, "utf8"));
  }

  #meta(): string {
    return `{"io.modelcontextprotocol/subscriptionId":${Buffer.from(this.#id, "latin1").toString("utf8")}}`;
  }
}
