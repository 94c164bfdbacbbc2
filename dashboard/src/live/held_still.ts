/** A list that stands still while somebody reads below its top; what came since is counted. */

import { useEffect, useRef, useState } from "preact/hooks";

interface Known {
  readonly id: string;
}

export interface Still<Item> {
  readonly items: readonly Item[];
  /** So many came that are not shown. */
  readonly newer: number;
}

/** Each entry as it is now, in the places they had. Pure. */
export function heldStill<Item extends Known>(
  shown: readonly Item[],
  fresh: readonly Item[],
): Still<Item> {
  const now = new Map(fresh.map((one) => [one.id, one]));
  const known = new Set(shown.map((one) => one.id));
  return {
    items: shown.map((one) => now.get(one.id) ?? one),
    newer: fresh.filter((one) => !known.has(one.id)).length,
  };
}

const FAR_PX = 120;

/** Whether the page is scrolled further than the head of a list. */
export function useFarDown(): boolean {
  const [far, setFar] = useState(false);
  useEffect(() => {
    const look = () => setFar(scrollY > FAR_PX);
    look();
    addEventListener("scroll", look, { passive: true });
    return () => removeEventListener("scroll", look);
  }, []);
  return far;
}

/** The entries of a question, which `key` tells: the fresh ones, or as they stood while read. */
export function useHeldStill<Item extends Known>(
  key: string,
  fresh: readonly Item[] | undefined,
  far: boolean,
): Still<Item> | undefined {
  const kept = useRef<{ key: string; items: readonly Item[] } | undefined>(undefined);
  if (!fresh) return undefined;
  if (!far || kept.current?.key !== key) kept.current = { key, items: fresh };
  return heldStill(kept.current.items, fresh);
}
