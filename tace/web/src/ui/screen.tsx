import type { ComponentChildren } from "preact";
import { IconLink } from "./button";
import "./screen.css";

export interface ScreenProps {
  title: ComponentChildren;
  /** One step up; shown where there is one pane only, or always. */
  back: { href: string; label: string; always?: boolean };
  /** At the end of the head. */
  actions?: ComponentChildren;
  children: ComponentChildren;
}

/** A place in the content pane: a head that stays, and a body that scrolls. */
export function Screen({ title, back, actions, children }: ScreenProps) {
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
      <div class="screen-body">
        <div class="screen-column">{children}</div>
      </div>
    </div>
  );
}
