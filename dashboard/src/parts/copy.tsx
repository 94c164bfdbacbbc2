/** Copying, also where the page did not come over HTTPS. */

import type { JSX } from "preact";
import { Icon } from "./icon";
import { tell } from "./toast";

/** Puts text on the clipboard; an insecure page has no `navigator.clipboard`. */
export async function copy(text: string, what: string): Promise<void> {
  try {
    if (navigator.clipboard) await navigator.clipboard.writeText(text);
    else copyOld(text);
    tell(`Copied ${what}`);
  } catch {
    tell("The browser did not allow copying");
  }
}

function copyOld(text: string): void {
  const area = document.createElement("textarea");
  area.value = text;
  area.style.position = "fixed";
  area.style.opacity = "0";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  if (!done) throw new Error("refused");
}

interface Props {
  /** What is copied; what is large is only written when somebody wants it. */
  readonly text: string | (() => string);
  readonly what: string;
}

export function CopyButton({ text, what }: Props): JSX.Element {
  return (
    <button
      type="button"
      class="button plain icon-only"
      title={`Copy ${what}`}
      aria-label={`Copy ${what}`}
      onClick={() => copy(typeof text === "string" ? text : text(), what)}
    >
      <Icon name="copy" size={14} />
    </button>
  );
}
