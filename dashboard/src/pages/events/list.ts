/** The events of a filter: the first page kept fresh, further pages as they are asked for. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Event } from "../../api/model";
import * as api from "../../api/resources";
import { type Freshness, useAnswer } from "../../live/answer";
import { useFarDown, useHeldStill } from "../../live/held_still";
import { now } from "../../parts/time";
import { type EventFilter, eventSearchOf, eventsFrom, isEventSearch } from "./filter";

const PAGE = 50;

interface Further {
  readonly key: string;
  readonly events: readonly Event[];
  readonly cursor: string | undefined;
  readonly partial: boolean;
}

export function useEvents(filter: EventFilter) {
  const key = `events${eventSearchOf(filter)}`;
  const [further, setFurther] = useState<Further>();
  // A search goes through events one by one: it is done again when somebody asks for it.
  const fresh: Freshness = isEventSearch(filter) ? {} : { on: (changes) => changes.events };
  const first = useAnswer(key, (signal) => api.events(wanted(filter), signal), fresh);
  const still = useHeldStill(key, first.data?.data, useFarDown());
  const page = useRef(first.data?.page);
  if (still?.newer === 0) page.current = first.data?.page;
  useEffect(() => setFurther(undefined), [key]);
  const beyond = further?.key === key ? further : undefined;
  const cursor = beyond ? beyond.cursor : page.current?.hasMore ? page.current.cursor : undefined;
  const loadMore = async () => {
    const next = await api.events({ ...wanted(filter), cursor });
    setFurther({
      key,
      // What is shown now, too: it may be pushed off the first page by what comes.
      events: [...(beyond?.events ?? still?.items ?? []), ...next.data],
      cursor: next.page?.hasMore ? next.page.cursor : undefined,
      partial: next.page?.partial === true,
    });
  };
  const known = new Set(still?.items.map((one) => one.id));
  return {
    events: still && [
      ...still.items,
      ...(beyond?.events ?? []).filter((one) => !known.has(one.id)),
    ],
    newer: still?.newer ?? 0,
    error: first.error,
    again: first.again,
    more: cursor !== undefined,
    /** The search ran out of time before it was through. */
    partial: (beyond ? beyond.partial : page.current?.partial) === true,
    loadMore,
  };
}

const wanted = (filter: EventFilter): api.EventsWanted => ({
  limit: PAGE,
  name: filter.name,
  from: eventsFrom(filter, now.value),
  query: filter.query,
  sessions: filter.sessions,
  internal: filter.internal,
});
