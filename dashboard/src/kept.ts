/** What the reader keeps under names, in this browser alone. */

import { type Signal, signal } from "@preact/signals";

interface Named {
  readonly name: string;
}

export interface Kept<One extends Named> {
  readonly all: Signal<readonly One[]>;
  /** Keeps one; another of the same name gives way, and the oldest where there are too many. */
  readonly keep: (one: One) => void;
  readonly forget: (name: string) => void;
}

/** What is kept under a key of the browser's storage; what is not `isOne` is left out. */
export function keptAs<One extends Named>(
  key: string,
  most: number,
  isOne: (found: Partial<One>) => boolean,
): Kept<One> {
  const all = signal(read());

  function read(): readonly One[] {
    try {
      const found: unknown = JSON.parse(localStorage.getItem(key) ?? "[]");
      const list = Array.isArray(found) ? (found as readonly (Partial<One> | null)[]) : [];
      return list.filter((one): one is One => isNamed(one) && isOne(one)).slice(-most);
    } catch {
      return [];
    }
  }

  function write(next: readonly One[]): void {
    all.value = next;
    try {
      localStorage.setItem(key, JSON.stringify(next));
    } catch {
      // A browser that keeps nothing forgets them with the page.
    }
  }

  const others = (name: string) => all.value.filter((one) => one.name !== name);
  return {
    all,
    keep: (one) => write([...others(one.name), one].slice(-most)),
    forget: (name) => write(others(name)),
  };
}

const isNamed = <One extends Named>(one: Partial<One> | null): one is Partial<One> =>
  typeof one?.name === "string";
