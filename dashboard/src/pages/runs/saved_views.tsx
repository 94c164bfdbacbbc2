/** The filters that were kept, as chips, and keeping the present one. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { Icon } from "../../parts/icon";
import { to } from "../../place";
import { views } from "../../views";

/** `search` is the filter of the page as it stands in the address; empty where all is shown. */
export function SavedViews({ search }: { search: string }): JSX.Element | null {
  const [name, setName] = useState<string>();
  const present = views.all.value.find((view) => view.search === search);
  if (views.all.value.length === 0 && search === "") return null;
  const save = (event: Event) => {
    event.preventDefault();
    if (name?.trim()) views.keep({ name: name.trim(), search });
    setName(undefined);
  };
  return (
    <div class="views">
      {views.all.value.map((view) => (
        <a
          class="chip view"
          key={view.name}
          href={to("runs") + view.search}
          aria-current={view === present ? "page" : undefined}
        >
          <Icon name="star" size={12} />
          <bdi>{view.name}</bdi>
        </a>
      ))}
      {present ? (
        <button type="button" class="button plain small" onClick={() => views.forget(present.name)}>
          Forget this view
        </button>
      ) : name === undefined ? (
        search !== "" && (
          <button type="button" class="button plain small" onClick={() => setName("")}>
            <Icon name="star" size={12} />
            Keep this view
          </button>
        )
      ) : (
        <form class="view-name" onSubmit={save}>
          <input
            class="input"
            aria-label="Name of the view"
            placeholder="Name of the view"
            maxLength={60}
            ref={(field) => field?.focus()}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
            onKeyDown={(event) => event.key === "Escape" && setName(undefined)}
          />
          <button type="submit" class="button" disabled={!name.trim()}>
            Keep
          </button>
        </form>
      )}
    </div>
  );
}
