import type { ComponentChildren } from "preact";
import { IconLink } from "./button";
import "./screen.css";

export interface ScreenProps {
  title: ComponentChildren;
  /** One step up; shown where there is one pane only, or always. */
  back: { href: string; label: string; always?: boolean };
  /** At the end of the head. */
  actions?: ComponentChildren;
  /** Nothing in it takes the focus, so that the body itself must: else no key scrolls it. */
  isOnlyText?: boolean;
  children: ComponentChildren;
}

/** A place in the content pane: a head that stays, and a body that scrolls. */
export function Screen({ title, back, actions, isOnlyText, children }: ScreenProps) {
  return (
    <div class="screen">
      <header class="screen-head">
        <IconLink
          href={back.href}
          icon="back"
          label={back.label}
          class={back.always ? "screen-back-always" : "screen-back"}
        />
        <h1 class="screen-title">{title}</h1>
        {actions}
      </header>
      <div class="screen-body" {...(isOnlyText ? { tabIndex: 0 } : {})}>
        <div class="screen-column">{children}</div>
      </div>
    </div>
  );
}
