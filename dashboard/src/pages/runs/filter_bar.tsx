/** The filters above the list of runs. Each choice is a new address. */

import type { JSX } from "preact";
import type { RunStatus } from "../../api/model";
import * as api from "../../api/resources";
import { useAnswer } from "../../live/answer";
import { Icon } from "../../parts/icon";
import { StatusShape, shown } from "../../parts/status";
import { exactly } from "../../parts/time";
import { EVERYTHING, type Filter, narrows, SPANS, STATUSES } from "./filter";

interface Props {
  readonly filter: Filter;
  readonly onChange: (filter: Filter) => void;
}

export function FilterBar({ filter, onChange }: Props): JSX.Element {
  const known = useAnswer("functions", api.functions);
  const toggle = (status: RunStatus) => {
    const has = filter.statuses.includes(status);
    const statuses = STATUSES.filter((one) =>
      one === status ? !has : filter.statuses.includes(one),
    );
    onChange({ ...filter, statuses });
  };
  const choose = (slug: string) => {
    const fn = known.data?.find((one) => one.slug === slug);
    onChange({ ...filter, fn: slug, app: fn ? fn.app.name : "" });
  };
  return (
    <fieldset class="filters">
      <legend class="unseen">Filter</legend>
      <div class="segments">
        {STATUSES.map((status) => (
          <button
            key={status}
            type="button"
            class={`segment tone-${shown(status).tone}`}
            aria-pressed={filter.statuses.includes(status)}
            onClick={() => toggle(status)}
          >
            <StatusShape status={status} />
            {shown(status).word}
          </button>
        ))}
      </div>
      <select
        class="select"
        aria-label="Function"
        value={filter.fn}
        onChange={(event) => choose(event.currentTarget.value)}
      >
        <option value="">All functions</option>
        {(known.data ?? []).map((one) => (
          <option key={one.slug} value={one.slug}>
            {one.slug}
          </option>
        ))}
      </select>
      <select
        class="select"
        aria-label="Time"
        value={filter.last}
        onChange={(event) =>
          onChange({ ...filter, last: event.currentTarget.value, from: "", until: "" })
        }
      >
        {SPANS.map(([name, word]) => (
          <option key={name} value={name}>
            {word}
          </option>
        ))}
      </select>
      <Between filter={filter} onChange={onChange} />
      <button
        type="button"
        class="button"
        onClick={() => onChange({ ...filter, oldestFirst: !filter.oldestFirst })}
      >
        {filter.oldestFirst ? "Oldest first" : "Newest first"}
      </button>
      {narrows(filter) && (
        <button
          type="button"
          class="button plain"
          onClick={() =>
            onChange({
              ...EVERYTHING,
              oldestFirst: filter.oldestFirst,
              columns: filter.columns,
            })
          }
        >
          <Icon name="close" size={14} />
          Clear
        </button>
      )}
    </fieldset>
  );
}

/** Two moments that another page led here with. */
function Between({ filter, onChange }: Props): JSX.Element | null {
  if (!filter.from && !filter.until) return null;
  const words = [
    filter.time === "endedAt" ? "Ended" : "Queued",
    filter.from && `from ${exactly(filter.from, "minute")}`,
    filter.until && `until ${exactly(filter.until, "minute")}`,
  ];
  return (
    <span class="chip between">
      {words.filter(Boolean).join(" ")}
      <button
        type="button"
        class="chip-close"
        aria-label="All time"
        onClick={() => onChange({ ...filter, from: "", until: "", time: "queuedAt" })}
      >
        <Icon name="close" size={12} />
      </button>
    </span>
  );
}
