import type { ComponentChildren } from "preact";
import "./badge.css";
import { Icon, type IconName } from "./icon";

/** A small count or word. `label` says in words what it counts. */
export function Badge(props: {
  children?: ComponentChildren;
  icon?: IconName;
  label?: string;
  tone?: "plain" | "accent" | "good" | "warn" | "danger";
}) {
  return (
    <span class={`badge badge-${props.tone ?? "plain"}`}>
      {props.icon ? <Icon name={props.icon} size="s" /> : null}
      {props.label === undefined ? (
        props.children
      ) : (
        <>
          <span aria-hidden="true">{props.children}</span>
          <span class="visually-hidden">{props.label}</span>
        </>
      )}
    </span>
  );
}
