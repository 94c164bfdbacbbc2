/** Which rows of a long list are in sight. All rows have one height; only these are drawn. */

import type { RefObject } from "preact";
import { useLayoutEffect, useState } from "preact/hooks";

const BEYOND = 12;

export interface Seen {
  readonly first: number;
  readonly last: number;
  /** Height of what is not drawn, in pixels. */
  readonly before: number;
  readonly after: number;
}

/** `list` scrolls by itself, or with the page where it does not. */
export function useWindow(list: RefObject<HTMLElement | null>, count: number, rowPx: number): Seen {
  const [[top, height], setView] = useState<readonly [number, number]>([0, 900]);
  useLayoutEffect(() => {
    const element = list.current;
    if (!element) return;
    const look = () => {
      const box = element.getBoundingClientRect();
      const own =
        element.scrollHeight > element.clientHeight + 1 &&
        getComputedStyle(element).overflowY !== "visible";
      setView(
        own ? [element.scrollTop, element.clientHeight] : [Math.max(-box.top, 0), innerHeight],
      );
    };
    look();
    element.addEventListener("scroll", look, { passive: true });
    addEventListener("scroll", look, { passive: true });
    addEventListener("resize", look);
    return () => {
      element.removeEventListener("scroll", look);
      removeEventListener("scroll", look);
      removeEventListener("resize", look);
    };
  }, [list, count]);
  const first = Math.max(Math.floor(top / rowPx) - BEYOND, 0);
  const last = Math.min(Math.ceil((top + height) / rowPx) + BEYOND, count);
  return {
    first: Math.min(first, count),
    last,
    before: Math.min(first, count) * rowPx,
    after: Math.max(count - last, 0) * rowPx,
  };
}
