/** The events of a name: the first page kept fresh, further pages as they are asked for. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Event } from "../../api/model";
import * as api from "../../api/resources";
import { useAnswer } from "../../live/answer";
import { useFarDown, useHeldStill } from "../../live/held_still";

const PAGE = 50;

interface Further {
  readonly key: string;
  readonly events: readonly Event[];
  readonly cursor: string | undefined;
}

export function useEvents(name: string) {
  const key = `events/${name}`;
  const [further, setFurther] = useState<Further>();
  const first = useAnswer(key, (signal) => api.events(PAGE, name, signal), {
    on: (changes) => changes.events,
  });
  const still = useHeldStill(key, first.data?.data, useFarDown());
  const page = useRef(first.data?.page);
  if (still?.newer === 0) page.current = first.data?.page;
  useEffect(() => setFurther(undefined), [key]);
  const beyond = further?.key === key ? further : undefined;
  const cursor = beyond ? beyond.cursor : page.current?.hasMore ? page.current.cursor : undefined;
  const loadMore = async () => {
    const next = await api.events(PAGE, name, undefined, cursor);
    setFurther({
      key,
      // What is shown now, too: it may be pushed off the first page by what comes.
      events: [...(beyond?.events ?? still?.items ?? []), ...next.data],
      cursor: next.page?.hasMore ? next.page.cursor : undefined,
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
    loadMore,
  };
}
