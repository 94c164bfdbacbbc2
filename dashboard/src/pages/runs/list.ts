/** The runs of a filter: the first page kept fresh, further pages as they are asked for. */

import { useEffect, useRef, useState } from "preact/hooks";
import type { Page, Run } from "../../api/model";
import * as api from "../../api/resources";
import { type Freshness, useAnswer } from "../../live/answer";
import { type Still, useFarDown, useHeldStill } from "../../live/held_still";
import { now } from "../../parts/time";
import { type Column, USUAL } from "./columns";
import { type Filter, fromOf, isSearch, searchOf } from "./filter";

const PAGE = 50;

interface Further {
  readonly key: string;
  readonly runs: readonly Run[];
  readonly cursor: string | undefined;
  readonly partial: boolean;
}

export function useRuns(filter: Filter) {
  // Columns ask for nothing, but for one that lists leave out.
  const columns: readonly Column[] = filter.columns.includes("retries") ? ["retries"] : USUAL;
  const key = `runs${searchOf({ ...filter, columns })}`;
  const [further, setFurther] = useState<Further>();
  // A search goes through runs one by one: it is done again when somebody asks for it.
  const fresh: Freshness = isSearch(filter) ? {} : { on: (changes) => changes.runs.size > 0 };
  const first = useAnswer(key, (signal) => api.runs(wanted(filter), signal), fresh);
  const beyond = further?.key === key ? further : undefined;
  useEffect(() => setFurther(undefined), [key]);

  const far = useFarDown();
  // The oldest first grow at their end: nothing moves what is read.
  const still = useHeldStill(key, first.data?.data, far && !filter.oldestFirst);
  const page = usePageOf(first.data, still);
  const cursor = beyond ? beyond.cursor : page?.hasMore ? page.cursor : undefined;
  const loadMore = async () => {
    if (!cursor) return;
    const next = await api.runs({ ...wanted(filter), cursor });
    setFurther({
      key,
      // What is shown now, too: it may be pushed off the first page by what comes.
      runs: [...(beyond?.runs ?? still?.items ?? []), ...next.data],
      cursor: next.page?.hasMore ? next.page.cursor : undefined,
      partial: next.page?.partial === true,
    });
  };
  return {
    runs: still && joined(still.items, beyond?.runs ?? []),
    /** So many came while the list is held still. */
    newer: still?.newer ?? 0,
    error: first.error,
    more: cursor !== undefined,
    /** The search ran out of time before it was through. */
    partial: (beyond ? beyond.partial : page?.partial) === true,
    loadMore,
    again: first.again,
  };
}

/** The page that goes on where what is shown ends: that of the last answer that was shown. */
function usePageOf(fresh: Page<Run> | undefined, still: Still<Run> | undefined) {
  const kept = useRef(fresh?.page);
  if (still?.newer === 0) kept.current = fresh?.page;
  return kept.current;
}

/** The fresh page and the older ones; where new runs pushed one across, it is shown once. */
function joined(fresh: readonly Run[], older: readonly Run[]): readonly Run[] {
  const known = new Set(fresh.map((run) => run.id));
  return [...fresh, ...older.filter((run) => !known.has(run.id))];
}

function wanted(filter: Filter): api.RunsWanted {
  const from = fromOf(filter, now.value);
  return {
    statuses: filter.statuses,
    apps: filter.app ? [filter.app] : [],
    functions: filter.fn ? [filter.fn] : [],
    ...(from ? { from } : {}),
    ...(filter.query ? { query: filter.query } : {}),
    sessions: filter.sessions,
    ...(filter.until ? { until: filter.until } : {}),
    timeField: filter.time,
    order: filter.oldestFirst ? "ASC" : "DESC",
    limit: PAGE,
    withRetries: filter.columns.includes("retries"),
  };
}
