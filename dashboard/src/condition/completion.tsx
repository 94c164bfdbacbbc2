/** The choices below the field of a condition, and the keys that take one. */

import type { JSX } from "preact";
import { useMemo } from "preact/hooks";
import * as api from "../api/resources";
import { useAnswer } from "../live/answer";
import { ALWAYS, pathsIn } from "./suggest";

const LOOKED_AT = 20;
export const CHOICES_ID = "search-choices";

/** Fields that the latest events and results have; nothing is asked before somebody writes. */
export function useKnownPaths(what: "runs" | "events", wanted: boolean): readonly string[] {
  const events = useAnswer(`completion/events/${wanted}`, async (signal) =>
    wanted ? (await api.events({ limit: LOOKED_AT }, signal)).data : [],
  );
  const ofRuns = what === "runs";
  const runs = useAnswer(`completion/runs/${wanted && ofRuns}`, async (signal) =>
    wanted && ofRuns ? (await api.latestOutputs(LOOKED_AT, signal)).data : [],
  );
  return useMemo(
    () => [
      ...new Set([
        ...ALWAYS.filter((path) => ofRuns || path.startsWith("event.")),
        ...(events.data ?? []).flatMap((one) => pathsIn("event.data", one.data)),
        ...(runs.data ?? []).flatMap((one) => pathsIn("output", one.output)),
      ]),
    ],
    [events.data, runs.data, ofRuns],
  );
}

interface Props {
  readonly choices: readonly string[];
  readonly at: number;
  readonly onTake: (choice: string) => void;
}

export function Choices({ choices, at, onTake }: Props): JSX.Element {
  return (
    <div class="choices-list card" id={CHOICES_ID} role="listbox" aria-label="What may come next">
      {choices.map((choice, place) => (
        // biome-ignore lint/a11y/useFocusableInteractive: the field above keeps the focus
        <div
          key={choice}
          id={`${CHOICES_ID}-${place}`}
          class="choices-one mono"
          role="option"
          aria-selected={place === at}
          onPointerDown={(event) => {
            event.preventDefault();
            onTake(choice);
          }}
        >
          {choice}
        </div>
      ))}
    </div>
  );
}
