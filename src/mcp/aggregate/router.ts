/** Decides for each request of an assembled session which server it is for, and which names in it must be put back. */
import { EnvelopeError, readEnvelope, type Envelope } from "../envelope.ts";
import { rpcCode } from "../json-rpc.ts";
import type { Seat } from "../pool/seat.ts";
import type { Edit } from "../splice.ts";
import type { ListName } from "../upstream/handshake.ts";
import type { OwnTools } from "../tools/own-tools.ts";
import { asciiText, downFault, unknownFault } from "./answers.ts";
import type { Assembly } from "./assembly.ts";
import type { PatientCall } from "./client-side.ts";
import type { Merged } from "./merge.ts";
import { OwnCalls } from "./own-calls.ts";
import { splitName, type NamedItem } from "./names.ts";

const listsByMethod = new Map<string, ListName>([
  ["tools/list", "tools"],
  ["prompts/list", "prompts"],
  ["resources/list", "resources"],
  ["resources/templates/list", "resourceTemplates"],
]);
/** Time for each server that is tried for a resource of which nobody knows the origin. */
const searchMs = 30_000;

export class Router {
  readonly #assembly: Assembly;
  readonly #own: OwnCalls;

  constructor(assembly: Assembly, tools: OwnTools) {
    this.#assembly = assembly;
    this.#own = new OwnCalls(assembly, tools);
  }

  route(call: PatientCall, envelope: Envelope, body: Buffer): void {
    const { method } = envelope;
    if (method === "ping") return this.#assembly.answer(call, "{}");
    if (method === "initialize") {
      const message = "this session is initialized already";
      return call.fail({ code: rpcCode.invalidRequest, message, reason: "invalid_params" });
    }
    if (method === "logging/setLevel" && this.#setLogLevel(call, body)) return;
    const [only] = this.#assembly.seats;
    if (!this.#assembly.isPrefixed && only !== undefined) return this.#toOnly(only, call, envelope, body);
    const list = listsByMethod.get(method);
    if (list === "tools") return this.#settle(call, this.#own.list(call));
    if (list !== undefined) return this.#settle(call, this.#assembly.list(call, list));
    switch (method) {
      case "tools/call":
        return this.#byName(call, envelope, body, "tools");
      case "prompts/get":
        return this.#byName(call, envelope, body, "prompts");
      case "resources/read":
      case "resources/subscribe":
      case "resources/unsubscribe":
        return this.#settle(call, this.#byUri(call, envelope, body));
      case "completion/complete":
        return this.#settle(call, this.#complete(call, body));
      default: {
        const message = `${method} is not offered on /mcp; at /mcp/<server> everything goes to that server`;
        return call.fail({ code: rpcCode.methodUnknown, message, reason: "method_unknown" });
      }
    }
  }

  /** One server under its own names: all is its own, but a list that is known needs no start. */
  #toOnly(seat: Seat, call: PatientCall, envelope: Envelope, body: Buffer): void {
    const list = listsByMethod.get(envelope.method);
    const isCold = seat.ready() === undefined;
    const capability = list === "resourceTemplates" ? "resources" : (list ?? "");
    const isOffered = seat.facts?.initialize.capabilities[capability] !== undefined;
    // A cursor can only be the server's own.
    const isFirstPage = list !== undefined && !body.includes('"cursor"');
    if (isCold && isFirstPage && isOffered) return this.#settle(call, this.#assembly.list(call, list));
    this.#subscribe(seat, call, envelope, body, []);
  }

  #byName(call: PatientCall, envelope: Envelope, body: Buffer, kind: "tools" | "prompts"): void {
    if (envelope.nameStart === 0) return call.fail(unknownFault("params.name is missing", "it names what to call"));
    const exposed = text(body, envelope.nameStart, envelope.nameEnd);
    if (kind === "tools" && this.#own.call(call, exposed, body)) return;
    const item = this.#assembly.offer.now()[kind].resolve(exposed);
    if (item !== undefined) return this.#forwardNamed(item, call, envelope, body);
    this.#settle(call, this.#byUnlistedName(exposed, call, envelope, body, kind));
  }

  /** A name of a server whose list is not known yet, or that its server does not list. */
  async #byUnlistedName(
    exposed: string,
    call: PatientCall,
    envelope: Envelope,
    body: Buffer,
    kind: "tools" | "prompts",
  ): Promise<void> {
    const names = this.#assembly.seats.map(({ name }) => name);
    const byForm = splitName(exposed, names);
    const hint = `names are <server>__<name>; servers: ${names.join(", ") || "none"}`;
    if (byForm === undefined) return call.fail(unknownFault(`unknown name ${JSON.stringify(exposed)}`, hint));
    const seat = this.#assembly.seatAt(byForm.server);
    if (seat?.facts === undefined) await seat?.learn();
    this.#forwardNamed(this.#assembly.offer.now()[kind].resolve(exposed) ?? byForm, call, envelope, body);
  }

  #forwardNamed({ server, name }: NamedItem, call: PatientCall, envelope: Envelope, body: Buffer): void {
    const seat = this.#assembly.seatAt(server);
    if (seat === undefined) return call.fail(unknownFault(`unknown server ${server}`, "it left the config"));
    const edit = { start: envelope.nameStart, end: envelope.nameEnd, text: asciiText(name) };
    this.#assembly.forward(seat, call, envelope, body, [edit]);
  }

  // ── resources ──

  async #byUri(call: PatientCall, envelope: Envelope, body: Buffer): Promise<void> {
    if (envelope.uriStart === 0) return call.fail(unknownFault("params.uri is missing", "it names the resource"));
    const uri = text(body, envelope.uriStart, envelope.uriEnd);
    const known = this.#assembly.offer.now();
    // Whose it is may be known already; then nobody waits for servers that are not.
    const merged = known.origins.has(uri) ? known : await this.#assembly.offer.merged();
    const [first, ...others] = this.#origins(merged, uri);
    const isRead = envelope.method === "resources/read";
    if (first === undefined) {
      const message = `no server has resources, so there is no ${uri}`;
      return call.fail({ code: -32_002, message, reason: "invalid_params" });
    }
    if (others.length === 0 || !isRead) return this.#subscribe(first, call, envelope, body, []);
    await this.#search([first, ...others], uri, call);
  }

  /** Servers that the resource may come from: the one that lists it, else those with a fitting template, else all with resources. */
  #origins(merged: Merged, uri: string): Seat[] {
    const origin = merged.origins.get(uri);
    const fitting = merged.templates.filter((template) => template.fits(uri)).map(({ server }) => server);
    const offering = this.#assembly.seats.filter(
      (seat) => seat.facts?.initialize.capabilities["resources"] !== undefined,
    );
    const names = origin !== undefined ? [origin] : fitting.length > 0 ? fitting : offering.map(({ name }) => name);
    return [...new Set(names)].flatMap((name) => this.#assembly.seatAt(name) ?? []);
  }

  async #search(seats: Seat[], uri: string, call: PatientCall): Promise<void> {
    let last: unknown;
    for (const seat of seats) {
      if (call.done) return;
      try {
        const { upstream } = await seat.need();
        return this.#assembly.answer(call, JSON.stringify(await upstream.ask("resources/read", { uri }, searchMs)));
      } catch (error) {
        last = error;
      }
    }
    const tried = seats.map(({ name }) => name).join(", ");
    const message = `no server knows ${uri} (tried ${tried}): ${last instanceof Error ? last.message : String(last)}`;
    call.fail({ code: -32_002, message, reason: "invalid_params" });
  }

  /** Forwards; a subscription is remembered, and one that others still have is not taken back from the server. */
  #subscribe(seat: Seat, call: PatientCall, envelope: Envelope, body: Buffer, edits: Edit[]): void {
    const { client } = this.#assembly;
    const isIn = envelope.method === "resources/subscribe";
    if ((isIn || envelope.method === "resources/unsubscribe") && envelope.uriStart > 0) {
      const uri = text(body, envelope.uriStart, envelope.uriEnd);
      if (isIn) {
        const isNew = !client.subscriptions.has(uri);
        // One that is refused must not keep the server from being idle, nor be asked for again.
        call.params.onAnswer = (_line, isRefused) => {
          if (!isRefused || !isNew) return;
          client.subscriptions.delete(uri);
          this.#assembly.memory.write();
          seat.ready()?.unsubscribe(uri, client);
        };
        client.subscriptions.set(uri, seat.name);
        this.#assembly.memory.write();
        void seat.need().then(
          (running) => running.subscribe(uri, client),
          () => {}, // the call itself is told
        );
      } else {
        client.subscriptions.delete(uri);
        this.#assembly.memory.write();
        if (seat.ready()?.unsubscribe(uri, client) === false) return this.#assembly.answer(call, "{}");
      }
    }
    this.#assembly.forward(seat, call, envelope, body, edits);
  }

  // ── completions, log levels ──

  /** What is to be completed is named deep inside; such a message is short, so it is built anew. */
  async #complete(call: PatientCall, body: Buffer): Promise<void> {
    const message = JSON.parse(body.toString()) as {
      params?: { ref?: { type?: string; name?: string; uri?: string } };
    };
    const ref = message.params?.ref;
    const find = ({ prompts }: Merged) => {
      const item = ref?.type === "ref/prompt" ? prompts.resolve(String(ref.name)) : undefined;
      return item ?? (ref?.type === "ref/resource" ? this.#templateOrigin(String(ref.uri)) : undefined);
    };
    const named = find(this.#assembly.offer.now()) ?? find(await this.#assembly.offer.merged());
    const seat = this.#assembly.seatAt(named?.server ?? "");
    if (ref === undefined || seat === undefined)
      return call.fail(
        unknownFault("params.ref names nothing that is offered", "see prompts/list and resources/templates/list"),
      );
    if (named?.name !== undefined) ref.name = named.name;
    const anew = Buffer.from(JSON.stringify(message));
    this.#assembly.forward(seat, call, readEnvelope(anew), anew);
  }

  #templateOrigin(uri: string): { server: string; name?: string } | undefined {
    const has = (seat: Seat) =>
      seat.facts?.lists.resourceTemplates.some(({ uriTemplate }) => uriTemplate === uri) === true ||
      seat.facts?.lists.resources.some((resource) => resource["uri"] === uri) === true;
    const seat = this.#assembly.seats.find(has);
    return seat === undefined ? undefined : { server: seat.name };
  }

  /** False: the one server that there is may answer for itself. */
  #setLogLevel(call: PatientCall, body: Buffer): boolean {
    const [only] = this.#assembly.seats;
    if (!this.#assembly.isPrefixed && only?.isPooled !== true && only?.ready() !== undefined) return false;
    const { params } = JSON.parse(body.toString()) as { params?: { level?: unknown } };
    if (typeof params?.level !== "string")
      call.fail(unknownFault("params.level is missing", "it is a word such as info"));
    else {
      this.#assembly.setLogLevel(params.level);
      this.#assembly.answer(call, "{}");
    }
    return true;
  }

  /** Nothing that goes wrong on the way may leave the call without an answer. */
  #settle(call: PatientCall, work: Promise<void>): void {
    void work.catch((thrown: unknown) => {
      if (thrown instanceof EnvelopeError) call.fail(unknownFault(thrown.message, "send one JSON-RPC message"));
      else call.fail(downFault(thrown));
    });
  }
}

function text(body: Buffer, start: number, end: number): string {
  return JSON.parse(body.toString("utf8", start, end)) as string;
}
