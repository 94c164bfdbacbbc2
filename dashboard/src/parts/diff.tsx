/** Two texts beside each other, as lines that came and lines that went. */

import type { JSX } from "preact";
import type { DiffLine } from "./line_diff";

export function Diff({ lines }: { lines: readonly DiffLine[] }): JSX.Element {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls is scrolled by keys, too
    <pre class="diff" tabIndex={0}>
      {lines.map((line, place) => (
        <span key={place} class={`diff-${line.kind}`}>
          <span aria-hidden="true">{{ same: "  ", gone: "− ", new: "+ " }[line.kind]}</span>
          <span class="unseen">{{ same: "", gone: "gone: ", new: "new: " }[line.kind]}</span>
          {line.text}
          {"\n"}
        </span>
      ))}
    </pre>
  );
}
