/**
 * Runs over time as bars: what went well stands above the line, what did not hangs below it. Pointing
 * at a bar, or walking with the arrow keys, tells its numbers in words above the chart.
 */

import type { JSX } from "preact";
import { useState } from "preact/hooks";
import { type Bucket, roundUp, type Totals, totalsOf } from "./series";
import "./charts.css";

interface Props {
  readonly buckets: readonly Bucket[];
  readonly label: string;
  /** Follows a bar to its runs. */
  readonly onOpen: (bucket: Bucket) => void;
}

export function Bars({ buckets, label, onOpen }: Props): JSX.Element {
  const [at, point] = useState<number>();
  const up = Math.max(...buckets.map((one) => one.completed));
  const down = Math.max(...buckets.map((one) => one.failed + one.cancelled));
  const above = roundUp(up);
  const below = down > 0 ? roundUp(down) : 0;
  const chosen = at === undefined ? undefined : buckets[at];
  const onKeyDown = (event: KeyboardEvent) => {
    const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
    if (by) point(Math.min(Math.max((at ?? buckets.length) + by, 0), buckets.length - 1));
    else if (event.key === "Enter" && chosen) onOpen(chosen);
    else if (event.key === "Escape") point(undefined);
    else return;
    event.preventDefault();
  };
  const rows = { gridTemplateRows: `${above}fr ${Math.max(below, above * 0.12)}fr` };
  return (
    <figure class="chart">
      <figcaption class="chart-told" aria-live="polite">
        <Told bucket={chosen} totals={totalsOf(buckets)} />
      </figcaption>
      <div class="chart-body">
        <div class="chart-scale" style={rows} aria-hidden="true">
          <span>{above.toLocaleString()}</span>
          <span>{below > 0 ? below.toLocaleString() : ""}</span>
        </div>
        {/* biome-ignore lint/a11y/useSemanticElements: no element stands for bars that are walked */}
        <div
          class="chart-bars"
          role="group"
          // biome-ignore lint/a11y/noNoninteractiveTabindex: its bars are walked by keys
          tabIndex={0}
          aria-label={label}
          onKeyDown={onKeyDown}
          onPointerLeave={() => point(undefined)}
          onBlur={() => point(undefined)}
        >
          {buckets.map((one, place) => (
            // biome-ignore lint/a11y/useKeyWithClickEvents: the group around it takes the keys
            // biome-ignore lint/a11y/noStaticElementInteractions: it is one of many marks of a group
            <div
              key={one.from}
              class={place === at ? "chart-column at" : "chart-column"}
              style={rows}
              onPointerEnter={() => point(place)}
              onClick={() => onOpen(one)}
            >
              <Rising of={above} value={one.completed} />
              <Hanging
                of={Math.max(below, above * 0.12)}
                failed={one.failed}
                cancelled={one.cancelled}
              />
            </div>
          ))}
        </div>
      </div>
      <Times buckets={buckets} />
    </figure>
  );
}

const part = (value: number, of: number): string => `${((value / of) * 100).toFixed(2)}%`;

function Rising({ of, value }: { of: number; value: number }): JSX.Element {
  return (
    <span class="chart-up">
      {value > 0 && <i class="chart-bar completed" style={{ height: part(value, of) }} />}
    </span>
  );
}

interface HangingProps {
  readonly of: number;
  readonly failed: number;
  readonly cancelled: number;
}

function Hanging({ of, failed, cancelled }: HangingProps): JSX.Element {
  return (
    <span class="chart-down">
      {failed > 0 && <i class="chart-bar failed" style={{ height: part(failed, of) }} />}
      {cancelled > 0 && <i class="chart-bar cancelled" style={{ height: part(cancelled, of) }} />}
    </span>
  );
}

function Told({ bucket, totals }: { bucket: Bucket | undefined; totals: Totals }): JSX.Element {
  const numbers = bucket ?? totals;
  return (
    <>
      <Amount name="completed" value={numbers.completed} />
      <Amount name="failed" value={numbers.failed} />
      <Amount name="cancelled" value={numbers.cancelled} />
      <span class="chart-when">{bucket ? between(bucket) : "in all"}</span>
    </>
  );
}

function Amount({ name, value }: { name: string; value: number }): JSX.Element {
  return (
    <span class="chart-number">
      <i class={`chart-mark ${name}`} aria-hidden="true" />
      {value.toLocaleString()} {name}
    </span>
  );
}

const clock = new Intl.DateTimeFormat(undefined, { hour: "2-digit", minute: "2-digit" });
const weekday = new Intl.DateTimeFormat(undefined, { weekday: "short", day: "numeric" });

const between = ({ from, to }: Bucket): string =>
  `${weekday.format(from)}, ${clock.format(from)} to ${clock.format(to)}`;

const MARKS = 4;
const DAY_MS = 86_400_000;

function Times({ buckets }: { buckets: readonly Bucket[] }): JSX.Element {
  const first = buckets[0]?.from ?? 0;
  const whole = (buckets.at(-1)?.to ?? 0) - first;
  const said = whole > 2 * DAY_MS ? weekday : clock;
  return (
    <div class="chart-times" aria-hidden="true">
      {Array.from({ length: MARKS }, (_, place) => (
        <span key={place}>{said.format(first + (whole * place) / MARKS)}</span>
      ))}
    </div>
  );
}
