/** Filters of the runs page that the reader keeps under a name, in this browser alone. */

import { signal } from "@preact/signals";

export interface View {
  readonly name: string;
  /** The part of the address that is the filter: "?status=FAILED". */
  readonly search: string;
}

const KEPT_AS = "stepwell.views";
const VIEWS_MAX = 50;

export const views = signal<readonly View[]>(read());

/** Keeps a filter; one of the same name gives way. */
export function keep(name: string, search: string): void {
  write([...views.value.filter((view) => view.name !== name), { name, search }].slice(-VIEWS_MAX));
}

export const forget = (name: string): void =>
  write(views.value.filter((view) => view.name !== name));

function write(next: readonly View[]): void {
  views.value = next;
  try {
    localStorage.setItem(KEPT_AS, JSON.stringify(next));
  } catch {
    // A browser that keeps nothing forgets them with the page.
  }
}

function read(): readonly View[] {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(KEPT_AS) ?? "[]");
    return Array.isArray(kept) ? kept.filter(isView).slice(-VIEWS_MAX) : [];
  } catch {
    return [];
  }
}

function isView(one: unknown): one is View {
  const view = one as Partial<View> | null;
  return typeof view?.name === "string" && /^(\?.*)?$/.test(String(view.search));
}
