import type { ComponentChildren } from "preact";
import { useEffect, useLayoutEffect, useRef, useState } from "preact/hooks";
import { IconButton, type IconButtonProps } from "./button";
import { Icon, type IconName } from "./icon";
import "./menu.css";

export interface MenuItem {
  label: string;
  icon?: IconName;
  danger?: boolean;
  disabled?: boolean;
  onSelect: () => void;
}

/** Where a menu opens: below an element, or at a point of the window. */
export type MenuAnchor = Element | { x: number; y: number };

export interface MenuProps {
  /** What it is a menu of. */
  label: string;
  items: MenuItem[];
  anchor: MenuAnchor;
  onClose: () => void;
  /** Something above the items, as a row of reactions. Its buttons are in the arrow order, too. */
  head?: ComponentChildren;
}

const MARGIN_PIXELS = 8;

/**
 * A menu by the pattern of the ARIA guide: arrows move, Home and End jump, a letter finds, Escape
 * and Tab close; then the focus is where it was before.
 */
export function Menu({ label, items, anchor, onClose, head }: MenuProps) {
  const menu = useRef<HTMLDivElement>(null);

  useLayoutEffect(() => {
    const element = menu.current;
    if (!element) return;
    const before = document.activeElement;
    // In the top layer nothing cuts it off, not even a dialog that it is opened from.
    element.showPopover?.();
    place(element, anchor);
    entries(element)[0]?.focus();
    return () => {
      const inside = element.contains(document.activeElement) || !document.activeElement;
      const lost = document.activeElement === document.body;
      if ((inside || lost) && before instanceof HTMLElement) before.focus();
    };
  }, [anchor]);

  useEffect(() => {
    const outside = (event: Event) => {
      if (!(event.target instanceof Node) || !menu.current?.contains(event.target)) onClose();
    };
    addEventListener("pointerdown", outside, true);
    addEventListener("resize", onClose);
    return () => {
      removeEventListener("pointerdown", outside, true);
      removeEventListener("resize", onClose);
    };
  }, [onClose]);

  const onKeyDown = (event: KeyboardEvent) => {
    const element = menu.current;
    if (!element) return;
    if (event.key === "Escape" || event.key === "Tab") {
      event.preventDefault();
      event.stopPropagation();
      onClose();
      return;
    }
    const all = entries(element);
    const focused = document.activeElement;
    const now = focused instanceof HTMLElement ? all.indexOf(focused) : -1;
    const next = target(event.key, now, all);
    if (next < 0) return;
    event.preventDefault();
    event.stopPropagation();
    all[next]?.focus();
  };

  return (
    <div
      ref={menu}
      class="menu"
      role="menu"
      tabIndex={-1}
      popover="manual"
      aria-label={label}
      onKeyDown={onKeyDown}
    >
      {head ? <div class="menu-head">{head}</div> : null}
      {items.map((item) => (
        <button
          key={item.label}
          type="button"
          role="menuitem"
          tabIndex={-1}
          class={item.danger ? "menu-item menu-item-danger" : "menu-item"}
          disabled={item.disabled ?? false}
          onClick={() => {
            onClose();
            item.onSelect();
          }}
        >
          {item.icon ? <Icon name={item.icon} /> : null}
          <span>{item.label}</span>
        </button>
      ))}
    </div>
  );
}

/** A button that opens a menu below itself. */
export function MenuButton({
  items,
  ...button
}: Omit<IconButtonProps, "onClick" | "ref"> & { items: MenuItem[] }) {
  const [anchor, setAnchor] = useState<Element | null>(null);
  const ref = useRef<HTMLButtonElement>(null);
  return (
    <>
      <IconButton
        {...button}
        ref={ref}
        aria-haspopup="menu"
        aria-expanded={anchor ? "true" : "false"}
        onClick={() => setAnchor(anchor ? null : ref.current)}
      />
      {anchor ? (
        <Menu label={button.label} items={items} anchor={anchor} onClose={() => setAnchor(null)} />
      ) : null}
    </>
  );
}

function entries(menu: Element): HTMLElement[] {
  return [...menu.querySelectorAll<HTMLElement>("button:not(:disabled), a[href]")];
}

/** The entry that a key leads to, or -1. */
function target(key: string, now: number, all: HTMLElement[]): number {
  const last = all.length - 1;
  if (key === "ArrowDown" || key === "ArrowRight") return now >= last ? 0 : now + 1;
  if (key === "ArrowUp" || key === "ArrowLeft") return now <= 0 ? last : now - 1;
  if (key === "Home") return 0;
  if (key === "End") return last;
  if ([...key].length !== 1 || key === " ") return -1;
  const letter = key.toLocaleLowerCase();
  const order = all.map((_, at) => (now + 1 + at) % all.length);
  return (
    order.find((at) => all[at]?.textContent?.trim().toLocaleLowerCase().startsWith(letter)) ?? -1
  );
}

/** Below the anchor and at its end; above it or moved in where the window ends. */
function place(menu: HTMLElement, anchor: MenuAnchor): void {
  const { width, height } = menu.getBoundingClientRect();
  const point = anchor instanceof Element ? belowEnd(anchor, width, height) : anchor;
  const x = Math.min(Math.max(point.x, MARGIN_PIXELS), innerWidth - width - MARGIN_PIXELS);
  const y = Math.min(Math.max(point.y, MARGIN_PIXELS), innerHeight - height - MARGIN_PIXELS);
  menu.style.left = `${Math.max(x, 0)}px`;
  menu.style.top = `${Math.max(y, 0)}px`;
}

function belowEnd(anchor: Element, width: number, height: number): { x: number; y: number } {
  const box = anchor.getBoundingClientRect();
  const rightToLeft = getComputedStyle(anchor).direction === "rtl";
  const fitsBelow = box.bottom + height + MARGIN_PIXELS <= innerHeight;
  return {
    x: rightToLeft ? box.left : box.right - width,
    y: fitsBelow ? box.bottom + 4 : box.top - height - 4,
  };
}
