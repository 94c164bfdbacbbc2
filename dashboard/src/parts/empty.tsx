/** What stands where nothing is, or where something went wrong: always with what to do next. */

import type { ComponentChildren, JSX } from "preact";
import { Icon, type IconName } from "./icon";

interface EmptyProps {
  readonly icon: IconName;
  readonly title: string;
  /** Whether it is all there is on the page. */
  readonly whole?: boolean;
  readonly children?: ComponentChildren;
}

export function Empty({ icon, title, whole = false, children }: EmptyProps): JSX.Element {
  return (
    <div class="empty">
      <Icon name={icon} size={28} />
      {whole ? <h1>{title}</h1> : <h2>{title}</h2>}
      {children}
    </div>
  );
}

export function Wrong({ error, again }: { error: Error; again?: () => void }): JSX.Element {
  return (
    <div class="notice tone-failed" role="alert">
      <Icon name="warning" />
      <p>{error.message}</p>
      {again && (
        <button type="button" class="button" onClick={again}>
          Try again
        </button>
      )}
    </div>
  );
}
