/** Sessions that runs belong to: each a chip, and a field for one more. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Icon } from "../../parts/icon";
import { type Filter, isSession } from "./filter";

interface Props {
  readonly filter: Filter;
  readonly onChange: (filter: Filter) => void;
}

export function Sessions({ filter, onChange }: Props): JSX.Element {
  const [text, setText] = useState<string>();
  const without = (gone: string) => filter.sessions.filter((one) => one !== gone);
  const add = (event: Event) => {
    event.preventDefault();
    const given = text?.trim() ?? "";
    if (!isSession(given)) return;
    onChange({ ...filter, sessions: [...without(given), given] });
    setText(undefined);
  };
  return (
    <>
      {filter.sessions.map((session) => (
        <span class="chip session" key={session}>
          <bdi>{session}</bdi>
          <button
            type="button"
            class="chip-close"
            aria-label={`Leave out session ${session}`}
            onClick={() => onChange({ ...filter, sessions: without(session) })}
          >
            <Icon name="close" size={12} />
          </button>
        </span>
      ))}
      {text === undefined ? (
        <button
          type="button"
          class="button"
          title="Only runs whose event belongs to a session"
          onClick={() => setText("")}
        >
          Session…
        </button>
      ) : (
        <form class="view-name" onSubmit={add}>
          <input
            class="input mono"
            aria-label="Session"
            placeholder="user=7"
            ref={(field) => field?.focus()}
            value={text}
            onInput={(event) => setText(event.currentTarget.value)}
            onKeyDown={(event) => event.key === "Escape" && setText(undefined)}
          />
          <button type="submit" class="button" disabled={!isSession(text.trim())}>
            Add
          </button>
        </form>
      )}
    </>
  );
}
