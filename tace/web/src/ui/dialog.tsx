import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef } from "preact/hooks";
import { IconButton } from "./button";
import "./dialog.css";

export interface DialogProps {
  title: string;
  /** Called for Escape, for the cross and for a press beside it. The parent then removes it. */
  onClose: () => void;
  /** Names the cross. */
  closeLabel: string;
  /** alert: something that must be answered; a press beside it does not close it. */
  kind?: "dialog" | "alert";
  /** The buttons, the most likely last. */
  actions?: ComponentChildren;
  children: ComponentChildren;
}

/** A modal window over the page; when it goes, the focus is where it was before. */
export function Dialog({
  title,
  onClose,
  closeLabel,
  kind = "dialog",
  actions,
  children,
}: DialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const titleId = useId();
  useEffect(() => {
    const element = dialog.current;
    const before = document.activeElement;
    if (element && !element.open) element.showModal();
    return () => {
      element?.close();
      if (before instanceof HTMLElement && before.isConnected) before.focus();
    };
  }, []);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: Escape does the same, by the element's own "cancel"
    <dialog
      ref={dialog}
      class="dialog"
      role={kind === "alert" ? "alertdialog" : undefined}
      aria-labelledby={titleId}
      onCancel={(event) => {
        event.preventDefault();
        onClose();
      }}
      onClick={(event) => {
        if (kind === "dialog" && event.target === event.currentTarget) onClose();
      }}
    >
      <div class="dialog-frame">
        <header class="dialog-head">
          <h2 id={titleId}>{title}</h2>
          <IconButton icon="close" label={closeLabel} onClick={onClose} />
        </header>
        <div class="dialog-body">{children}</div>
        {actions ? <footer class="dialog-actions">{actions}</footer> : null}
      </div>
    </dialog>
  );
}
