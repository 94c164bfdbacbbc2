/** Keys that go places. They never fire while somebody types. */

import { useEffect } from "preact/hooks";
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

interface Does {
  readonly onSend: () => void;
  readonly onPalette: () => void;
  readonly onKeys: () => void;
}

export function useShortcuts({ onSend, onPalette, onKeys }: Does): void {
  const { route } = useLocation();
  useEffect(() => {
    let went = 0;
    const onKey = (event: KeyboardEvent) => {
      if ((event.metaKey || event.ctrlKey) && event.key.toLowerCase() === "k") {
        event.preventDefault();
        if (!document.querySelector("dialog[open]")) onPalette();
        return;
      }
      if (event.metaKey || event.ctrlKey || event.altKey || isTyping(event.target)) return;
      const page = PAGES[event.key];
      if (event.key === "g") went = event.timeStamp;
      else if (page && event.timeStamp - went < PAIR_MS) route(to(page));
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
    (target.closest("input, textarea, select, dialog") !== null || target.isContentEditable)
  );
}
