/** Everything that can be gone to or done, by a few letters of its name; and the keys, on a sheet. */

import { Fragment, type JSX } from "preact";
import { useLayoutEffect, useRef, useState } from "preact/hooks";
import { useLocation } from "preact-iso";
import * as api from "./api/resources";
import { useAnswer } from "./live/answer";
import { found } from "./palette_match";
import { Dialog } from "./parts/dialog";
import { Icon, type IconName } from "./parts/icon";
import { to, toEvent, toFunction, toRun } from "./place";
import { views } from "./views";

export interface Choice {
  readonly name: string;
  readonly hint: string;
  readonly icon: IconName;
  readonly go: () => void;
}

const SHOWN = 12;
const ID = /^[0-7][0-9A-HJKMNP-TV-Z]{25}$/i;

interface Props {
  /** What can be done anywhere, beside what the palette knows itself. */
  readonly choices: readonly Choice[];
  readonly onClose: () => void;
}

export function Palette({ choices, onClose }: Props): JSX.Element {
  const { route } = useLocation();
  const [text, setText] = useState("");
  const [at, setAt] = useState(0);
  const functions = useAnswer("functions", api.functions);
  const element = useRef<HTMLDialogElement>(null);
  useLayoutEffect(() => {
    if (!element.current?.open) element.current?.showModal();
  }, []);
  const all: Choice[] = [
    ...byId(text.trim(), route),
    ...choices,
    ...views.all.value.map((view) => ({
      name: view.name,
      hint: "saved view",
      icon: "star" as const,
      go: () => route(to("runs") + view.search),
    })),
    ...(functions.data ?? []).map((fn) => ({
      name: fn.slug,
      hint: "function",
      icon: "functions" as const,
      go: () => route(toFunction(fn.app.name, fn.slug)),
    })),
  ];
  const shown = found(text, all).slice(0, SHOWN);
  const chosen = Math.min(at, shown.length - 1);
  const take = (choice: Choice | undefined) => {
    if (!choice) return;
    onClose();
    choice.go();
  };
  const onKeyDown = (event: KeyboardEvent) => {
    if (event.key === "ArrowDown") setAt(Math.min(chosen + 1, shown.length - 1));
    else if (event.key === "ArrowUp") setAt(Math.max(chosen - 1, 0));
    else if (event.key === "Enter") take(shown[chosen]);
    else return;
    event.preventDefault();
  };
  return (
    <dialog ref={element} class="palette" aria-label="Go to or do" onClose={onClose}>
      <div class="search-field">
        <Icon name="search" size={14} />
        <input
          class="input"
          role="combobox"
          aria-expanded="true"
          aria-controls="palette-choices"
          aria-activedescendant={shown[chosen] ? `palette-${chosen}` : undefined}
          aria-label="Page, function, view, or the id of a run or an event"
          placeholder="Page, function, view, or the id of a run"
          autocomplete="off"
          spellcheck={false}
          value={text}
          onInput={(event) => {
            setText(event.currentTarget.value);
            setAt(0);
          }}
          onKeyDown={onKeyDown}
        />
      </div>
      <div id="palette-choices" class="palette-choices" role="listbox" aria-label="Choices">
        {shown.map((choice, place) => (
          // biome-ignore lint/a11y/useKeyWithClickEvents: the field above takes the keys
          <div
            key={choice.name + choice.hint}
            id={`palette-${place}`}
            class="palette-choice"
            role="option"
            tabIndex={-1}
            aria-selected={place === chosen}
            onClick={() => take(choice)}
            onMouseMove={() => setAt(place)}
          >
            <Icon name={choice.icon} size={14} />
            <bdi>{choice.name}</bdi>
            <span class="faint small">{choice.hint}</span>
          </div>
        ))}
      </div>
      {shown.length === 0 && <p class="palette-none soft">Nothing is called that.</p>}
    </dialog>
  );
}

/** Where an id that was pasted leads: a run's or an event's, that is not known. */
function byId(text: string, route: (url: string) => void): Choice[] {
  if (!ID.test(text)) return [];
  const id = text.toUpperCase();
  return [
    { name: id, hint: "run", icon: "runs", go: () => route(toRun(id)) },
    { name: id, hint: "event", icon: "events", go: () => route(toEvent(id)) },
  ];
}

const KEYS: readonly (readonly [string, string])[] = [
  ["Ctrl or ⌘ K", "go to or do anything"],
  ["g, then o r e t f c l a", "overview, runs, events, logs, functions, schedules, limits, apps"],
  ["/", "the search or filter of a page"],
  ["j k, or arrows", "walk a list, or the steps of a run"],
  ["Enter", "open what is chosen"],
  ["c", "cancel a run, after asking"],
  ["n", "send an event"],
  ["Ctrl or ⌘ Enter", "send it"],
  ["?", "this sheet"],
];

export function KeySheet({ onClose }: { onClose: () => void }): JSX.Element {
  return (
    <Dialog
      title="Keys"
      onClose={onClose}
      foot={
        <button type="button" class="button" onClick={onClose}>
          Close
        </button>
      }
    >
      <dl class="pairs key-sheet">
        {KEYS.map(([keys, does]) => (
          <Fragment key={keys}>
            <dt>
              <kbd>{keys}</kbd>
            </dt>
            <dd>{does}</dd>
          </Fragment>
        ))}
      </dl>
      <p class="soft small">Keys do nothing while you type.</p>
    </Dialog>
  );
}
