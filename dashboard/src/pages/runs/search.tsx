/** The condition that runs are searched by, and what is wrong with it, at the character. */

import type { JSX } from "preact";
import { useEffect, useRef, useState } from "preact/hooks";
import { Icon } from "../../parts/icon";
import { wrongAt } from "./wrong_at";

const EXAMPLES = [
  "event.data.order == 7",
  'event.name.startsWith("order/")',
  "output == null",
  'error.name == "ValueError"',
] as const;

interface Props {
  readonly query: string;
  /** Why the server did not take it. */
  readonly refused: string;
  readonly onQuery: (query: string) => void;
}

export function Search({ query, refused, onQuery }: Props): JSX.Element {
  const [text, setText] = useState(query);
  const [here, setHere] = useState(false);
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => setText(query), [query]);
  const mark = refused ? wrongAt(query, refused) : undefined;
  const take = (example: string) => {
    setText(example);
    field.current?.focus();
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
        <input
          ref={field}
          class="input mono"
          type="search"
          spellcheck={false}
          autocomplete="off"
          placeholder="Search with a condition, such as event.data.order == 7"
          aria-label="Condition"
          aria-invalid={mark !== undefined}
          aria-describedby={mark ? "search-wrong" : undefined}
          data-search
          value={text}
          onInput={(event) => setText(event.currentTarget.value)}
          onSearch={(event: { currentTarget: HTMLInputElement }) => {
            if (event.currentTarget.value === "") onQuery("");
          }}
        />
        {text.trim() !== query && (
          <button type="submit" class="button">
            Search
          </button>
        )}
      </div>
      {mark && (
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
      )}
      {here && text === "" && (
        <p class="search-examples small soft">
          A condition in CEL over <code>event</code>, <code>output</code> and <code>error</code>:
          {EXAMPLES.map((example) => (
            <button type="button" class="chip mono" key={example} onClick={() => take(example)}>
              {example}
            </button>
          ))}
        </p>
      )}
    </form>
  );
}
