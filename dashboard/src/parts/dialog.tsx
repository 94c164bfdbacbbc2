/** A dialog: the browser's own, which keeps the focus inside and closes with Escape. */

import type { ComponentChildren, JSX } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { Icon } from "./icon";

interface Props {
  readonly title: string;
  readonly onClose: () => void;
  readonly children: ComponentChildren;
  readonly foot: ComponentChildren;
}

export function Dialog({ title, onClose, children, foot }: Props): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  const name = useId();
  useEffect(() => {
    const shown = element.current;
    if (shown && !shown.open) shown.showModal();
  }, []);
  return (
    <dialog ref={element} aria-labelledby={name} onClose={onClose}>
      <div class="dialog-head">
        <h2 id={name}>{title}</h2>
        <button type="button" class="button plain icon-only" aria-label="Close" onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      <div class="dialog-body">{children}</div>
      <div class="dialog-foot">{foot}</div>
    </dialog>
  );
}

interface ConfirmProps {
  readonly title: string;
  readonly text: string;
  readonly action: string;
  readonly danger?: boolean;
  readonly onClose: () => void;
  /** Does it; what it throws is shown, and the dialog stays. */
  readonly onConfirm: () => Promise<void>;
}

/** Says what an action will do, does it, and says why if it could not be done. */
export function Confirm(props: ConfirmProps): JSX.Element {
  const [busy, setBusy] = useState(false);
  const [wrong, setWrong] = useState("");
  const confirm = async () => {
    setBusy(true);
    try {
      await props.onConfirm();
      props.onClose();
    } catch (error) {
      setWrong((error as Error).message);
      setBusy(false);
    }
  };
  return (
    <Dialog
      title={props.title}
      onClose={props.onClose}
      foot={
        <>
          <button type="button" class="button" onClick={props.onClose}>
            Keep it
          </button>
          <button
            type="button"
            class={props.danger ? "button danger" : "button main"}
            disabled={busy}
            onClick={confirm}
          >
            {props.action}
          </button>
        </>
      }
    >
      <p class="soft">{props.text}</p>
      {wrong && (
        <p class="wrong" role="alert">
          {wrong}
        </p>
      )}
    </Dialog>
  );
}
