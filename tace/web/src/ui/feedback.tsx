/** What the page says in passing: short notes on the screen, and words for screen readers alone. */

import { type ReadonlySignal, signal } from "@preact/signals";
import { createContext } from "preact";
import { useContext, useEffect, useRef } from "preact/hooks";
import { IconButton } from "./button";
import "./feedback.css";
import { Icon } from "./icon";

export interface Toast {
  id: number;
  tone: "plain" | "good" | "problem";
  text: string;
  action?: { label: string; onSelect: () => void };
}

/** Sets a timer and gives what cancels it. */
export type After = (milliseconds: number, then: () => void) => () => void;

const SHOWN_MS = 6_000;
const MOST_AT_ONCE = 3;
const ANNOUNCED_MS = 1_500;

export class Feedback {
  private readonly shown = signal<Toast[]>([]);
  private readonly spoken = signal("");
  private nextId = 1;
  private silence: (() => void) | null = null;

  constructor(private readonly after: After = browserAfter) {}

  get toasts(): ReadonlySignal<Toast[]> {
    return this.shown;
  }

  get announcement(): ReadonlySignal<string> {
    return this.spoken;
  }

  /** A note that goes by itself, unless it is a problem: that stays until it is closed. */
  show(text: string, more: Partial<Pick<Toast, "tone" | "action">> = {}): void {
    const toast: Toast = { id: this.nextId, tone: "plain", text, ...more };
    this.nextId += 1;
    this.shown.value = [...this.shown.value, toast].slice(-MOST_AT_ONCE);
    if (toast.tone !== "problem") this.after(SHOWN_MS, () => this.close(toast.id));
  }

  close(id: number): void {
    this.shown.value = this.shown.value.filter((toast) => toast.id !== id);
  }

  /**
   * Says something to screen readers, politely. For new messages only: a region that also told of
   * ticks and times would never be quiet.
   */
  announce(text: string): void {
    this.silence?.();
    this.spoken.value = text;
    this.silence = this.after(ANNOUNCED_MS, () => {
      this.spoken.value = "";
    });
  }
}

function browserAfter(milliseconds: number, then: () => void): () => void {
  const timer = setTimeout(then, milliseconds);
  return () => clearTimeout(timer);
}

const FeedbackContext = createContext<Feedback>(new Feedback());
export const FeedbackProvider = FeedbackContext.Provider;

export function useFeedback(): Feedback {
  return useContext(FeedbackContext);
}

/** Once in the page. */
export function FeedbackRegion({ closeLabel }: { closeLabel: string }) {
  const feedback = useFeedback();
  const toasts = useRef<HTMLDivElement>(null);
  const count = feedback.toasts.value.length;
  useEffect(() => {
    // Shown anew, they lie over a dialog that was opened meanwhile.
    toasts.current?.hidePopover?.();
    if (count > 0) toasts.current?.showPopover?.();
  }, [count]);
  return (
    <>
      <div class="visually-hidden" role="log" aria-live="polite" aria-atomic="true">
        {feedback.announcement.value}
      </div>
      <div role="status">
        <div ref={toasts} class="toasts" popover="manual">
          {feedback.toasts.value.map((toast) => (
            <div key={toast.id} class={`toast toast-${toast.tone}`}>
              {toast.tone === "plain" ? null : (
                <Icon name={toast.tone === "good" ? "check" : "warning"} />
              )}
              <p class="toast-text" dir="auto">
                {toast.text}
              </p>
              {toast.action ? (
                <button
                  type="button"
                  class="toast-action"
                  onClick={() => {
                    feedback.close(toast.id);
                    toast.action?.onSelect();
                  }}
                >
                  {toast.action.label}
                </button>
              ) : null}
              <IconButton
                icon="close"
                label={closeLabel}
                onClick={() => feedback.close(toast.id)}
              />
            </div>
          ))}
        </div>
      </div>
    </>
  );
}
