/** `subscriptions/listen`: one response that stays open and tells of the changes that its client named. */
import type { Clock } from "../../clock.ts";
import { answerText, isObject } from "../wire/json-rpc.ts";
import { downFault, unknownFault } from "../wire/faults.ts";
import type { AggregateSession } from "../session/aggregate-session.ts";
import { readEnvelope } from "../wire/envelope.ts";
import type { Numbers } from "../wire/numbers.ts";
import { Call, callParams, SilentReply, type Changes, type StreamableReply } from "../wire/call.ts";
import type { Listener, StatelessClient } from "./stateless-client.ts";
import type { StatelessCall } from "./stateless-call.ts";

/** Resources that one listener may name. */
const urisMax = 1000;

/** What a client may want to hear of, and the capability of a server that tells it. */
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
  /** The request, until it is answered with a stream. */
  call: StatelessCall;
  reply: StreamableReply;
  numbers: Numbers;
  clock: Clock;
}

/** Never rejects: what cannot be had is told, or left out of what is acknowledged. */
export async function listen(parts: ListenParts, body: Buffer): Promise<void> {
  const { open, call } = parts;
  const { params } = JSON.parse(body.toString("utf8")) as { params?: { notifications?: unknown } };
  const asked = params?.notifications;
  if (!isObject(asked))
    return call.fail(unknownFault("params.notifications is missing", "it names what to listen for"));
  open.client.begin(call);
  try {
    const { capabilities } = await open.introduce();
    await open.mergedCatalog.merged(); // from here on a change is known for one
    const filter = await new Granting(parts).grant(asked, capabilities);
    if (call.done) return forgetAll(parts, filter);
    new Listening(parts, filter).begin();
  } catch (thrown) {
    call.fail(downFault(thrown));
  }
}

/** Finds out how much of what was asked for can be had. */
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

/** One more listener wants to hear of the resource: the first one subscribes, and what it is told holds for all. */
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

/** True: nobody wants to hear of it any more. */
function drop({ wanted }: StatelessClient, uri: string): boolean {
  const wish = wanted.get(uri);
  if (wish === undefined || --wish.listeners > 0) return false;
  wanted.delete(uri);
  return true;
}

/** The listener is gone: the last one takes the subscription back. */
function forgetAll(parts: ListenParts, { resourceSubscriptions = [] }: Filter): void {
  for (const uri of resourceSubscriptions)
    if (drop(parts.side, uri) && !parts.open.session.ended) void ask(parts, "resources/unsubscribe", uri);
}

/** Asks a server as the client itself would in a session-based revision. False: it refuses. */
function ask({ open, numbers, clock }: ListenParts, method: string, uri: string): Promise<boolean> {
  const body = Buffer.from(JSON.stringify({ jsonrpc: "2.0", id: 1, method, params: { uri } }));
  const envelope = readEnvelope(body);
  const reply = new SilentReply();
  const params = callParams(envelope, body, { number: numbers.next(), startedAt: clock.monotonic() });
  open.request(new Call(params, reply, open.client), envelope, body);
  return reply.isTaken;
}

class Listening implements Listener {
  readonly #parts: ListenParts;
  readonly #filter: Filter;
  readonly #uris: Set<string>;
  readonly #stream: Changes;
  /** The request's id as it was written, by which the client knows this subscription. */
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

  /** The end is ours: the request gets its answer. */
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
