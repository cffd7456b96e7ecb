import type { ComponentChildren } from "preact";
import "./banner.css";
import { Icon, type IconName } from "./icon";

export interface BannerProps {
  tone?: "plain" | "accent" | "warn" | "danger";
  icon?: IconName;
  children: ComponentChildren;
  /** A button or link at its end. */
  action?: ComponentChildren;
}

/** Something that is so and stays so until it is dealt with. */
export function Banner({ tone = "plain", icon = "info", children, action }: BannerProps) {
  return (
    <div class={`banner banner-${tone}`}>
      <Icon name={icon} />
      <div class="banner-text">{children}</div>
      {action ? <div class="banner-action">{action}</div> : null}
    </div>
  );
}
