/** Numbers over time as a line of small bars, for a table. Its words stand in the table beside it. */

import type { JSX } from "preact";
import type { Bucket } from "./series";
import "./charts.css";

const BARS = 24;

export function Spark({ buckets }: { buckets: readonly Bucket[] }): JSX.Element {
  const each = Math.max(Math.ceil(buckets.length / BARS), 1);
  const bars: { well: number; badly: number }[] = [];
  for (let place = 0; place < buckets.length; place += each) {
    const mine = buckets.slice(place, place + each);
    bars.push({
      well: mine.reduce((sum, one) => sum + one.completed, 0),
      badly: mine.reduce((sum, one) => sum + one.failed, 0),
    });
  }
  const most = Math.max(...bars.map((one) => one.well + one.badly), 1);
  const height = (value: number) => (value > 0 ? Math.max((value / most) * 20, 1.5) : 0);
  return (
    <svg
      class="spark"
      viewBox={`0 0 ${bars.length * 4} 22`}
      width={bars.length * 4}
      height="22"
      aria-hidden="true"
    >
      <path class="spark-floor" d={`M0 21.5H${bars.length * 4}`} />
      {bars.map((one, place) => {
        const well = height(one.well);
        const badly = height(one.badly);
        return (
          <g key={place}>
            {well > 0 && (
              <rect class="completed" x={place * 4} y={21 - well} width="3" height={well} />
            )}
            {badly > 0 && (
              <rect class="failed" x={place * 4} y={21 - well - badly} width="3" height={badly} />
            )}
          </g>
        );
      })}
    </svg>
  );
}
