/** Light, dark, or as the system says. */

import { signal } from "@preact/signals";
import type { JSX } from "preact";
import { Icon, type IconName } from "./icon";

type Theme = "system" | "light" | "dark";

const KEPT_AS = "stepwell.theme";
const NEXT: Record<Theme, Theme> = { system: "light", light: "dark", dark: "system" };
const ICON: Record<Theme, IconName> = { system: "system", light: "sun", dark: "moon" };

const theme = signal<Theme>(
  (document.documentElement.dataset.theme as Theme | undefined) ?? "system",
);

export function ThemeButton(): JSX.Element {
  const choose = () => {
    theme.value = NEXT[theme.value];
    const root = document.documentElement;
    if (theme.value === "system") delete root.dataset.theme;
    else root.dataset.theme = theme.value;
    try {
      localStorage.setItem(KEPT_AS, theme.value);
    } catch {
      // A browser that keeps nothing forgets the choice; the page works all the same.
    }
  };
  return (
    <button
      type="button"
      class="button plain icon-only"
      title={`Theme: ${theme.value}`}
      aria-label={`Theme: ${theme.value}`}
      onClick={choose}
    >
      <Icon name={ICON[theme.value]} />
    </button>
  );
}
