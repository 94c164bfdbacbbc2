/** Words that pass: what was done, or what was not. */

import { signal } from "@preact/signals";
import type { JSX } from "preact";

const SHOWN_MS = 4000;
const words = signal<readonly { id: number; text: string }[]>([]);
let last = 0;

export function tell(text: string): void {
  last += 1;
  const id = last;
  words.value = [...words.value, { id, text }];
  setTimeout(() => {
    words.value = words.value.filter((one) => one.id !== id);
  }, SHOWN_MS);
}

export function Toasts(): JSX.Element {
  return (
    <div class="toasts" role="status" aria-live="polite">
      {words.value.map((one) => (
        <div class="toast" key={one.id}>
          {one.text}
        </div>
      ))}
    </div>
  );
}
