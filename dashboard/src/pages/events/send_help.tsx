/** What an event that is written by hand may begin with: kept ones, those of before, a description. */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { type Json, printExact } from "../../api/exact";
import type { EventSchema } from "../../api/model";
import * as api from "../../api/resources";
import { useAnswer } from "../../live/answer";
import { Icon } from "../../parts/icon";
import { Ago } from "../../parts/time";
import { SAMPLE_CHARS_MAX, samples } from "./samples";

/** So many events of before are offered. */
const LATEST = 5;

interface Props {
  readonly name: string;
  readonly onTake: (text: string) => void;
}

/** The latest events of a name, each to begin with. */
export function Latest({ name, onTake }: Props): JSX.Element | null {
  const found = useAnswer(`latest/${name}`, async (signal) =>
    name ? (await api.events({ limit: LATEST, name }, signal)).data : [],
  );
  if (!found.data || found.data.length === 0) return null;
  return (
    <p class="small soft">
      Sent before:{" "}
      {found.data.map((event) => (
        <button
          type="button"
          class="chip listened"
          key={event.id}
          title={`Begin with event ${event.id}`}
          onClick={() => onTake(textOf(name, event.data ?? {}))}
        >
          <Ago at={event.receivedAt} />
        </button>
      ))}
    </p>
  );
}

export const textOf = (name: string, data: Json): string => printExact({ name, data });

/** Kept events, and keeping the one that is written. */
export function Samples({
  text,
  canKeep,
  onTake,
}: {
  text: string;
  canKeep: boolean;
  onTake: (text: string) => void;
}): JSX.Element {
  const [name, setName] = useState<string>();
  const present = samples.all.value.find((one) => one.text === text);
  const keep = () => {
    if (name?.trim()) samples.keep({ name: name.trim(), text });
    setName(undefined);
  };
  return (
    <div class="views small">
      {samples.all.value.map((sample) => (
        <button
          type="button"
          class="chip view"
          key={sample.name}
          aria-pressed={sample === present}
          onClick={() => onTake(sample.text)}
        >
          <Icon name="star" size={12} />
          <bdi>{sample.name}</bdi>
        </button>
      ))}
      {present ? (
        <button
          type="button"
          class="button plain small"
          onClick={() => samples.forget(present.name)}
        >
          Forget this sample
        </button>
      ) : name === undefined ? (
        <button
          type="button"
          class="button plain small"
          disabled={!canKeep || text.length > SAMPLE_CHARS_MAX}
          onClick={() => setName("")}
        >
          <Icon name="star" size={12} />
          Keep as a sample
        </button>
      ) : (
        <span class="view-name">
          <input
            class="input"
            aria-label="Name of the sample"
            placeholder="Name of the sample"
            maxLength={60}
            ref={(field) => field?.focus()}
            value={name}
            onInput={(event) => setName(event.currentTarget.value)}
            onKeyDown={(event) => event.key === "Enter" && keep()}
          />
          <button type="button" class="button" disabled={!name.trim()} onClick={keep}>
            Keep
          </button>
        </span>
      )}
    </div>
  );
}

/** How an app describes the event, to write by. */
export function Described({ schema }: { schema: EventSchema | undefined }): JSX.Element | null {
  if (schema?.data === undefined) return null;
  return (
    <details class="described small">
      <summary>
        As <bdi>{schema.app}</bdi> describes it
      </summary>
      {/* biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is scrolled by keys, too */}
      <pre tabIndex={0}>{printExact(schema.data)}</pre>
    </details>
  );
}
