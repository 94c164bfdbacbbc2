/** Keys that go places. They never fire while somebody types. */

import { useEffect, useRef } from "preact/hooks";
import { useLocation } from "preact-iso";
import { to } from "./place";

const PAGES: Record<string, string> = {
  o: "overview",
  r: "runs",
  e: "events",
  t: "logs",
  f: "functions",
  c: "crons",
  l: "limits",
  a: "apps",
};
const PAIR_MS = 1200;
const NEVER = Number.NEGATIVE_INFINITY;

interface Does {
  readonly onSend: () => void;
  readonly onPalette: () => void;
  readonly onKeys: () => void;
}

export function useShortcuts({ onSend, onPalette, onKeys }: Does): void {
  const { route } = useLocation();
  const went = useRef(NEVER); // when `g` was pressed, until the key after it
  useEffect(() => {
    const onKey = (event: KeyboardEvent) => {
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        if (!document.querySelector("dialog[open]")) onPalette();
        return;
      }
      if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target)) return;
      const page = event.timeStamp - went.current < PAIR_MS ? PAGES[event.key] : undefined;
      went.current = NEVER;
      if (event.key === "g") went.current = event.timeStamp;
      else if (page) route(to(page));
      else if (event.key === "n") onSend();
      else if (event.key === "?") onKeys();
      else if (event.key === "/") document.querySelector<HTMLElement>("[data-search]")?.focus();
      else if (event.key === "c") document.querySelector<HTMLElement>("[data-cancel]")?.click();
      else return;
      event.preventDefault();
    };
    document.addEventListener("keydown", onKey);
    return () => document.removeEventListener("keydown", onKey);
  }, [route, onSend, onPalette, onKeys]);
}

function isTyping(target: EventTarget | null): boolean {
  return (
    target instanceof HTMLElement &&
    (target.closest("input, textarea, select, dialog[open]") !== null || target.isContentEditable)
  );
}
