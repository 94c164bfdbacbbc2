/** The filters above the list of runs. Each choice is a new address. */

import type { JSX } from "preact";
import { useId, useState } from "preact/hooks";
import type { RunStatus } from "../../api/model";
import * as api from "../../api/resources";
import { useAnswer } from "../../live/answer";
import { Icon } from "../../parts/icon";
import { among, Select } from "../../parts/select";
import { Sessions } from "../../parts/sessions";
import { StatusShape, shown } from "../../parts/status";
import { now } from "../../parts/time";
import { errorOf, withError } from "./error_class";
import { EVERYTHING, type Filter, narrows, STATUSES } from "./filter";
import { TimeMenu } from "./time_menu";

interface Props {
  readonly filter: Filter;
  readonly onChange: (filter: Filter) => void;
}

export function FilterBar({ filter, onChange }: Props): JSX.Element {
  const known = useAnswer("functions", api.functions, { idly: true });
  const toggle = (status: RunStatus) => {
    const has = filter.statuses.includes(status);
    const statuses = STATUSES.filter((one) =>
      one === status ? !has : filter.statuses.includes(one),
    );
    onChange({ ...filter, statuses });
  };
  const fns = (known.data ?? []).filter((one) => !filter.app || one.app.name === filter.app);
  const apps = [...new Set([...(known.data ?? []).map((one) => one.app.name), filter.app])];
  const choose = (slug: string) => {
    const fn = known.data?.find((one) => one.slug === slug);
    onChange({ ...filter, fn: slug, app: fn ? fn.app.name : filter.app });
  };
  const [open, setOpen] = useState(false);
  const id = useId();
  const count = chosenOf(filter);
  return (
    <>
      <button
        type="button"
        class="button filters-open"
        aria-expanded={open}
        aria-controls={id}
        onClick={() => setOpen(!open)}
      >
        <Icon name="filter" size={14} />
        {count === 0 ? "Filter" : `Filter: ${count} chosen`}
      </button>
      <fieldset id={id} class={open ? "filters" : "filters folded"}>
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
        <Select
          label="App"
          value={filter.app}
          options={among("All apps", apps.filter(Boolean))}
          onChange={(app) => onChange({ ...filter, app, fn: "" })}
        />
        <Select
          label="Function"
          value={filter.fn}
          options={among(
            "All functions",
            fns.map((one) => one.slug),
          )}
          onChange={choose}
        />
        <ErrorClass filter={filter} onChange={onChange} />
        <TimeMenu filter={filter} onChange={onChange} />
        <Sessions
          sessions={filter.sessions}
          what="runs"
          onChange={(sessions) => onChange({ ...filter, sessions })}
        />
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
    </>
  );
}

/** How many things are chosen, for whom they are folded away. */
function chosenOf(filter: Filter): number {
  const time = filter.last || filter.from || filter.until || filter.time !== "queuedAt";
  const others = [filter.app, filter.fn, errorOf(filter.query), time];
  return filter.statuses.length + filter.sessions.length + others.filter(Boolean).length;
}

const WEEK_MS = 604_800_000;

/** The classes of errors of a week, and the one that is asked for. */
function ErrorClass({ filter, onChange }: Props): JSX.Element | null {
  const found = useAnswer(
    "failures/classes",
    (signal) => api.failures(new Date(now.peek() - WEEK_MS).toISOString(), signal),
    { idly: true },
  );
  const chosen = errorOf(filter.query);
  const names = (found.data?.data ?? []).map((group) => group.name);
  const all = [...new Set([...names, chosen])].filter(Boolean).sort();
  if (all.length === 0) return null;
  return (
    <Select
      label="Error"
      value={chosen}
      options={among("All errors", all)}
      onChange={(name) => onChange({ ...filter, query: withError(filter.query, name) })}
    />
  );
}
