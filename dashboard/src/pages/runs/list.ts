/** The runs of a filter: the first page kept fresh, further pages as they are asked for. */

import { useEffect, useState } from "preact/hooks";
import type { Run } from "../../api/model";
import * as api from "../../api/resources";
import { useAnswer } from "../../live/answer";
import { type Filter, SPANS, searchOf } from "./filter";

const PAGE = 50;

interface Further {
  readonly key: string;
  readonly runs: readonly Run[];
  readonly cursor: string | undefined;
}

export function useRuns(filter: Filter) {
  const key = `runs${searchOf(filter)}`;
  const [further, setFurther] = useState<Further>({ key, runs: [], cursor: undefined });
  const first = useAnswer(key, (signal) => api.runs(wanted(filter), signal), {
    on: (changes) => changes.runs.size > 0,
  });
  const beyond = further.key === key && further.runs.length > 0 ? further : undefined;
  useEffect(() => setFurther({ key, runs: [], cursor: undefined }), [key]);

  const page = first.data?.page;
  const cursor = beyond ? beyond.cursor : page?.hasMore ? page.cursor : undefined;
  const loadMore = async () => {
    if (!cursor) return;
    const next = await api.runs({ ...wanted(filter), cursor });
    setFurther({
      key,
      runs: [...(beyond?.runs ?? []), ...next.data],
      cursor: next.page?.hasMore ? next.page.cursor : undefined,
    });
  };
  return {
    runs: first.data && joined(first.data.data, beyond?.runs ?? []),
    error: first.error,
    more: cursor !== undefined,
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
  const back = SPANS.find(([name]) => name === filter.last)?.[2] ?? 0;
  return {
    statuses: filter.statuses,
    apps: filter.app ? [filter.app] : [],
    functions: filter.fn ? [filter.fn] : [],
    ...(back > 0 ? { from: new Date(Date.now() - back).toISOString() } : {}),
    timeField: "queuedAt",
    order: filter.oldestFirst ? "ASC" : "DESC",
    limit: PAGE,
  };
}
