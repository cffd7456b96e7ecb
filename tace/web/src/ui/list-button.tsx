import type { ComponentChildren } from "preact";
import "./list-button.css";

export interface ListButtonProps {
  /** Goes there … */
  href?: string;
  /** … or does this. */
  onClick?: (event: MouseEvent) => void;
  onContextMenu?: (event: MouseEvent) => void;
  /** Before the text: an avatar, an icon. */
  start?: ComponentChildren;
  title: ComponentChildren;
  detail?: ComponentChildren;
  /** Behind the text: a time, a badge. */
  end?: ComponentChildren;
  /** The one whose content is shown now. */
  current?: boolean;
  id?: string;
}

/** One row of a list that can be pressed as a whole. Belongs into an `<li>`. */
export function ListButton(props: ListButtonProps) {
  const content = (
    <>
      {props.start}
      <span class="list-button-text">
        <span class="list-button-title">{props.title}</span>
        {props.detail ? <span class="list-button-detail">{props.detail}</span> : null}
      </span>
      {props.end ? <span class="list-button-end">{props.end}</span> : null}
    </>
  );
  const shared = {
    class: "list-button",
    id: props.id,
    onClick: props.onClick,
    onContextMenu: props.onContextMenu,
  };
  return props.href === undefined ? (
    <button type="button" {...shared} aria-pressed={props.current}>
      {content}
    </button>
  ) : (
    <a href={props.href} {...shared} aria-current={props.current ? "page" : undefined}>
      {content}
    </a>
  );
}
