/** The runs of a filter: the first page kept fresh, further pages as they are asked for. */

import { useEffect, useState } from "preact/hooks";
import type { Run } from "../../api/model";
import * as api from "../../api/resources";
import { type Freshness, useAnswer } from "../../live/answer";
import { now } from "../../parts/time";
import { type Filter, fromOf, searchOf } from "./filter";

const PAGE = 50;

interface Further {
  readonly key: string;
  readonly runs: readonly Run[];
  readonly cursor: string | undefined;
  readonly partial: boolean;
}

export function useRuns(filter: Filter) {
  const key = `runs${searchOf(filter)}`;
  const [further, setFurther] = useState<Further>();
  // A search goes through runs one by one: it is done again when somebody asks for it.
  const fresh: Freshness = filter.query ? {} : { on: (changes) => changes.runs.size > 0 };
  const first = useAnswer(key, (signal) => api.runs(wanted(filter), signal), fresh);
  const beyond = further?.key === key ? further : undefined;
  useEffect(() => setFurther(undefined), [key]);

  const page = first.data?.page;
  const cursor = beyond ? beyond.cursor : page?.hasMore ? page.cursor : undefined;
  const loadMore = async () => {
    if (!cursor) return;
    const next = await api.runs({ ...wanted(filter), cursor });
    setFurther({
      key,
      runs: [...(beyond?.runs ?? []), ...next.data],
      cursor: next.page?.hasMore ? next.page.cursor : undefined,
      partial: next.page?.partial === true,
    });
  };
  return {
    runs: first.data && joined(first.data.data, beyond?.runs ?? []),
    error: first.error,
    more: cursor !== undefined,
    /** The search ran out of time before it was through. */
    partial: (beyond ? beyond.partial : page?.partial) === true,
    loadMore,
    again: first.again,
  };
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
    ...(filter.until ? { until: filter.until } : {}),
    timeField: filter.time,
    order: filter.oldestFirst ? "ASC" : "DESC",
    limit: PAGE,
  };
}
