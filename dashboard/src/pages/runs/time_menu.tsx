/** The choice of a time: which one of a run's, how far back, or between two moments. */

import type { JSX } from "preact";
import { useId, useRef, useState } from "preact/hooks";
import { Icon } from "../../parts/icon";
import { atField, exactly, ofField } from "../../parts/time";
import { type Filter, SPANS, TIMES, timeWords } from "./filter";

interface Props {
  readonly filter: Filter;
  readonly onChange: (filter: Filter) => void;
}

export function TimeMenu({ filter, onChange }: Props): JSX.Element {
  const id = useId();
  const between = filter.from !== "" || filter.until !== "";
  return (
    <span class="menu-place">
      <button type="button" class="button time-chosen" popovertarget={id}>
        <Icon name="clock" size={14} />
        <span>{timeWords(filter, (iso) => exactly(iso, "minute"))}</span>
      </button>
      <fieldset class="menu card time-menu" id={id} popover="auto">
        <legend class="unseen">Time</legend>
        <div class="segments">
          {TIMES.map(([time, , word]) => (
            <button
              key={time}
              type="button"
              class="segment"
              aria-pressed={filter.time === time}
              onClick={() => onChange({ ...filter, time })}
            >
              {word}
            </button>
          ))}
        </div>
        <div>
          {SPANS.map(([name, word]) => (
            <label class="menu-one" key={name}>
              <input
                type="radio"
                name="span"
                checked={!between && filter.last === name}
                onChange={() => onChange({ ...filter, last: name, from: "", until: "" })}
              />
              {word}
            </label>
          ))}
        </div>
        <Between key={`${filter.from} ${filter.until}`} filter={filter} onChange={onChange} />
      </fieldset>
    </span>
  );
}

/** Two moments, where the reader is. */
function Between({ filter, onChange }: Props): JSX.Element {
  const form = useRef<HTMLFormElement>(null);
  const [from, setFrom] = useState(atField(filter.from));
  const [until, setUntil] = useState(atField(filter.until));
  const wrong = from && until && until <= from ? "The end comes after the beginning" : "";
  const changed = from !== atField(filter.from) || until !== atField(filter.until);
  const take = (event: Event) => {
    event.preventDefault();
    form.current?.closest<HTMLElement>("[popover]")?.hidePopover();
    onChange({ ...filter, last: "", from: ofField(from), until: ofField(until) });
  };
  return (
    <form class="two-moments" ref={form} onSubmit={take}>
      <label class="field">
        <span>From</span>
        <input
          class="input"
          type="datetime-local"
          value={from}
          onInput={(event) => setFrom(event.currentTarget.value)}
        />
      </label>
      <label class="field">
        <span>Until</span>
        <input
          class="input"
          type="datetime-local"
          value={until}
          onInput={(event) => setUntil(event.currentTarget.value)}
        />
      </label>
      {wrong && (
        <p class="wrong" role="alert">
          {wrong}
        </p>
      )}
      <button type="submit" class="button" disabled={!changed || wrong !== ""}>
        Show these
      </button>
    </form>
  );
}
