/** Where runs are kept, how much room that takes, and for how long. */

import type { JSX } from "preact";
import type { Storage } from "../../api/model";
import { length } from "../../parts/time";

const NAMES = { memory: "memory", sqlite: "SQLite", postgresql: "PostgreSQL" } as const;

export function Kept({ storage }: { storage: Storage }): JSX.Element {
  const size = storage.databaseBytes + storage.logBytes;
  const kept =
    storage.retentionMs > 0
      ? `Runs that ended are kept ${length(storage.retentionMs)}.`
      : "Everything is kept until it is removed by hand.";
  return (
    <p class="faint small">
      {`Stored in ${NAMES[storage.database]}${size > 0 ? `, ${bytes(size)}` : ""}. `}
      {storage.database === "memory" ? "It ends with the process." : kept}
    </p>
  );
}

/** A size, as people say it. */
export function bytes(count: number): string {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  const step = Math.min(Math.floor(Math.log10(Math.max(count, 1)) / 3), units.length - 1);
  const value = count / 1000 ** step;
  return `${value >= 100 || step === 0 ? Math.round(value) : value.toFixed(1)} ${units[step]}`;
}
