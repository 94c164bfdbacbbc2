/** Ways to say the same elsewhere: a small menu whose entries are copied. */

import type { JSX } from "preact";
import { useId, useRef } from "preact/hooks";
import { copy } from "./copy";
import { Icon } from "./icon";
import { tell } from "./toast";

export interface Way {
  readonly name: string;
  /** What is copied; it may have to be asked for first. */
  readonly text: () => string | Promise<string>;
}

export function CopyMenu({ ways, label }: { ways: readonly Way[]; label: string }): JSX.Element {
  const menu = useRef<HTMLDivElement>(null);
  const id = useId();
  const take = async (way: Way) => {
    menu.current?.hidePopover();
    try {
      await copy(await way.text(), way.name);
    } catch (error) {
      tell((error as Error).message);
    }
  };
  return (
    <span class="menu-place">
      <button
        type="button"
        class="button plain icon-only"
        title={label}
        aria-label={label}
        popovertarget={id}
      >
        <Icon name="copy" />
      </button>
      <div class="menu card" id={id} ref={menu} popover="auto">
        <p class="faint small">{label}</p>
        {ways.map((way) => (
          <button type="button" class="menu-one" key={way.name} onClick={() => take(way)}>
            {way.name}
          </button>
        ))}
      </div>
    </span>
  );
}
