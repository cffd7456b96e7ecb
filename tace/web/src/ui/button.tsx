import type { ButtonHTMLAttributes, ComponentChildren, Ref } from "preact";
import "./button.css";
import { Icon, type IconName } from "./icon";
import { Spinner } from "./progress";

type ButtonAttributes = Omit<ButtonHTMLAttributes<HTMLButtonElement>, "icon" | "size">;

export interface ButtonProps extends ButtonAttributes {
  /** primary: the one thing to do here. quiet: without a frame. */
  variant?: "primary" | "secondary" | "quiet" | "danger";
  icon?: IconName;
  /** Being carried out: it cannot be pressed again, and keeps the focus. */
  busy?: boolean;
  wide?: boolean;
  ref?: Ref<HTMLButtonElement>;
  children: ComponentChildren;
}

export function Button({
  variant = "secondary",
  icon,
  busy = false,
  wide = false,
  children,
  onClick,
  type = "button",
  class: added,
  ...rest
}: ButtonProps) {
  return (
    <button
      {...rest}
      type={type}
      class={classes("button", `button-${variant}`, wide && "button-wide", added)}
      aria-disabled={busy ? "true" : rest["aria-disabled"]}
      aria-busy={busy ? "true" : undefined}
      onClick={(event) => {
        if (busy) event.preventDefault();
        else onClick?.(event);
      }}
    >
      {busy ? <Spinner size="s" /> : icon ? <Icon name={icon} /> : null}
      <span>{children}</span>
    </button>
  );
}

export interface IconButtonProps extends ButtonAttributes {
  icon: IconName;
  /** Its name; also shown as the browser's tooltip. */
  label: string;
  variant?: "quiet" | "filled";
  ref?: Ref<HTMLButtonElement>;
}

export function IconButton({
  icon,
  label,
  variant = "quiet",
  type = "button",
  class: added,
  ...rest
}: IconButtonProps) {
  return (
    <button
      {...rest}
      type={type}
      class={classes("icon-button", `icon-button-${variant}`, added)}
      aria-label={label}
      title={label}
    >
      <Icon name={icon} />
    </button>
  );
}

/** A link that looks like a button, for going somewhere. */
export function LinkButton(props: {
  href: string;
  variant?: "primary" | "secondary" | "quiet";
  icon?: IconName;
  children: ComponentChildren;
}) {
  return (
    <a class={`button button-${props.variant ?? "secondary"}`} href={props.href}>
      {props.icon ? <Icon name={props.icon} /> : null}
      <span>{props.children}</span>
    </a>
  );
}

/** A link that looks like an icon button. */
export function IconLink(props: {
  href: string;
  icon: IconName;
  label: string;
  current?: boolean;
  class?: string;
}) {
  return (
    <a
      class={classes("icon-button icon-button-quiet", props.class)}
      href={props.href}
      aria-label={props.label}
      title={props.label}
      aria-current={props.current ? "page" : undefined}
    >
      <Icon name={props.icon} />
    </a>
  );
}

function classes(...names: unknown[]): string {
  return names.filter((name) => typeof name === "string" && name !== "").join(" ");
}
