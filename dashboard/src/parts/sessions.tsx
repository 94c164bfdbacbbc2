/** Sessions that what is listed belongs to: each a chip, and a field for one more. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Icon } from "./icon";
import { isSession } from "./session_name";

interface Props {
  /** Each as "key=id". */
  readonly sessions: readonly string[];
  /** What is listed, in a word. */
  readonly what: "runs" | "events";
  readonly onChange: (sessions: readonly string[]) => void;
}

export function Sessions({ sessions, what, onChange }: Props): JSX.Element {
  const [text, setText] = useState<string>();
  const without = (gone: string) => sessions.filter((one) => one !== gone);
  const add = (event: Event) => {
    event.preventDefault();
    const given = text?.trim() ?? "";
    if (!isSession(given)) return;
    onChange([...without(given), given]);
    setText(undefined);
  };
  return (
    <>
      {sessions.map((session) => (
        <span class="chip session" key={session}>
          <bdi>{session}</bdi>
          <button
            type="button"
            class="chip-close"
            aria-label={`Leave out session ${session}`}
            onClick={() => onChange(without(session))}
          >
            <Icon name="close" size={12} />
          </button>
        </span>
      ))}
      {text === undefined ? (
        <button
          type="button"
          class="button"
          title={
            what === "runs"
              ? "Only runs whose event belongs to a session"
              : "Only events that belong to a session"
          }
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
