/** So many came while somebody reads further down; leads up to them. */

import type { JSX } from "preact";

export function Newer({ count }: { count: number }): JSX.Element {
  return (
    <div class="newer" role="status">
      {count > 0 && (
        <button type="button" class="button main" onClick={() => scrollTo({ top: 0 })}>
          {`${count.toLocaleString()} new`}
        </button>
      )}
    </div>
  );
}
