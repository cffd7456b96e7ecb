import type { ComponentChildren } from "preact";
import "./empty-state.css";
import { Icon, type IconName } from "./icon";

/** Where there is nothing yet: what it is for, and the first thing to do. */
export function EmptyState(props: {
  icon: IconName;
  title: string;
  children?: ComponentChildren;
  action?: ComponentChildren;
  /** Where it is all that its place shows. */
  isWhole?: boolean;
}) {
  const Heading = props.isWhole ? "h1" : "h2";
  return (
    <div class="empty-state">
      <span class="empty-state-sign">
        <Icon name={props.icon} size="l" />
      </span>
      <Heading>{props.title}</Heading>
      {props.children ? <div class="empty-state-text">{props.children}</div> : null}
      {props.action}
    </div>
  );
}
