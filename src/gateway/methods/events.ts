/** `events.*`: one feed per connection. */
import type { Clock } from "../../clock.ts";
import { HoldfastError } from "../../errors.ts";
import type { SessionSet } from "../../sessions/set.ts";
import type { EventBus } from "../event-bus.ts";
import { EventFeed } from "../event-feed.ts";
import { peerOf, type NamespaceHandlers, type Peer } from "./handlers.ts";

export function eventsHandlers(bus: EventBus, sessions: SessionSet, clock: Clock): NamespaceHandlers<"events"> {
  const feeds = new WeakMap<Peer, EventFeed>();
  return {
    "events.subscribe": ({ names, after = bus.last, stream = bus.stream }, caller) => {
      const peer = peerOf(caller);
      if (stream !== bus.stream || bus.since(after) === "gap") throw gap(bus);
      feeds.get(peer)?.end();
      const show = (id: string) => sessions.show(id, caller);
      const wanted = names === undefined ? undefined : new Set<string>(names);
      const feed = new EventFeed({ bus, clock, peer, names: wanted, after, show });
      feeds.set(peer, feed);
      feed.start();
      return { stream: bus.stream, last: bus.last };
    },
    "events.unsubscribe": (_, caller) => {
      feeds.get(peerOf(caller))?.end();
      return null;
    },
  };
}

function gap(bus: EventBus): HoldfastError {
  return new HoldfastError(
    "gap",
    `events after that one are no longer kept; read the current state and subscribe without \`after\` (now at ${bus.stream} ${bus.last})`,
  );
}
