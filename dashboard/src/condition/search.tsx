/** The condition that runs or events are searched by, and what is wrong with it, at the character. */

import type { JSX, RefObject } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../parts/icon";
import { CHOICES_ID, Choices, useKnownPaths } from "./completion";
import { suggest } from "./suggest";
import { type WrongAt, wrongAt } from "./wrong_at";
import "./condition.css";

const OF_EVENTS = ["event.data.order == 7", 'event.name.startsWith("order/")'] as const;
const EXAMPLES = {
  runs: [...OF_EVENTS, "output == null", 'error.name == "ValueError"'],
  events: [...OF_EVENTS, "event.ts > 1767225600000"],
} as const;

interface Props {
  /** What is searched: it says what a condition may be about. */
  readonly what: "runs" | "events";
  readonly query: string;
  /** Why the server did not take it. */
  readonly refused: string;
  readonly onQuery: (query: string) => void;
}

export function Search({ what, query, refused, onQuery }: Props): JSX.Element {
  const [text, setText] = useState(query);
  const [here, setHere] = useState(false);
  const mark = refused ? wrongAt(query, refused) : undefined;
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => setText(query), [query]);
  const take = (example: string) => {
    setText(example);
    field.current?.focus();
  };
  const write = (written: string) => {
    setText(written);
    if (written === "" && query) onQuery("");
  };
  return (
    <form
      class="search"
      onSubmit={(event) => {
        event.preventDefault();
        onQuery(text.trim());
      }}
      onFocusIn={() => setHere(true)}
      onFocusOut={(event) => setHere(event.currentTarget.contains(event.relatedTarget as Node))}
    >
      <div class="search-field">
        <Icon name="search" size={14} />
        <Field
          what={what}
          field={field}
          text={text}
          here={here}
          wrong={mark !== undefined}
          onText={write}
        />
        {text.trim() !== query && (
          <button type="submit" class="button">
            Search
          </button>
        )}
      </div>
      {mark && <Mark mark={mark} />}
      {here && text === "" && (
        <p class="search-examples small soft">
          A condition in CEL over <code>event</code>
          {what === "runs" && (
            <>
              , <code>output</code> and <code>error</code>
            </>
          )}
          :
          {EXAMPLES[what].map((example) => (
            <button type="button" class="chip mono" key={example} onClick={() => take(example)}>
              {example}
            </button>
          ))}
        </p>
      )}
    </form>
  );
}

interface FieldProps {
  readonly what: Props["what"];
  readonly field: RefObject<HTMLInputElement | null>;
  readonly text: string;
  readonly here: boolean;
  readonly wrong: boolean;
  readonly onText: (text: string) => void;
}

/** The field itself, with what may come next below it. */
function Field({ what, field, text, here, wrong, onText }: FieldProps): JSX.Element {
  const [caret, setCaret] = useState(text.length);
  const [at, setAt] = useState(-1);
  const [shut, setShut] = useState(false);
  const paths = useKnownPaths(what, here);
  const { from, to, choices } = suggest(text, caret, paths);
  const open = here && text !== "" && !shut && choices.length > 0;
  const chosen = open ? choices[at] : undefined;
  const take = (choice: string) => {
    onText(text.slice(0, from) + choice + text.slice(to));
    const end = from + choice.length;
    setCaret(end);
    setAt(-1);
    requestAnimationFrame(() => field.current?.setSelectionRange(end, end));
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (!open) return;
    const by = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (by) setAt(((at + by + choices.length + 2) % (choices.length + 1)) - 1);
    else if (event.key === "Escape") setShut(true);
    else if (chosen && (event.key === "Enter" || event.key === "Tab")) take(chosen);
    else return;
    event.preventDefault();
  };
  return (
    <>
      <input
        ref={field}
        class="input mono"
        type="text"
        role="combobox"
        aria-expanded={open}
        aria-controls={open ? CHOICES_ID : undefined}
        aria-autocomplete="list"
        aria-activedescendant={chosen ? `${CHOICES_ID}-${at}` : undefined}
        spellcheck={false}
        autocomplete="off"
        placeholder="Search with a condition, such as event.data.order == 7"
        aria-label="Condition"
        aria-invalid={wrong}
        aria-describedby={wrong ? "search-wrong" : undefined}
        data-search
        value={text}
        onKeyDown={onKeyDown}
        onInput={(event) => {
          onText(event.currentTarget.value);
          setCaret(event.currentTarget.selectionStart ?? event.currentTarget.value.length);
          setAt(-1);
          setShut(false);
        }}
      />
      {open && <Choices choices={choices} at={at} onTake={take} />}
    </>
  );
}

function Mark({ mark }: { mark: WrongAt }): JSX.Element {
  return (
    <div class="search-wrong" id="search-wrong" role="alert">
      {mark.at !== undefined && (
        <code aria-hidden="true">
          {mark.before}
          <mark>{mark.at || " "}</mark>
          {mark.after}
        </code>
      )}
      <p class="wrong">{mark.words}</p>
    </div>
  );
}
