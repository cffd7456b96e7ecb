/** The icons: own drawings on a grid of 24, lines of 1.75, in the colour of the text. */

import "./icon.css";

const PATHS = {
  add: "M12 5v14M5 12h14",
  archive: "M4 5h16v4H4zM5.5 9v9.5a1.5 1.5 0 0 0 1.5 1.5h10a1.5 1.5 0 0 0 1.5-1.5V9M10 13h4",
  back: "M14.5 5.5 8 12l6.5 6.5",
  bell: "M6 16.5V11a6 6 0 0 1 12 0v5.5l1.5 1.5h-15zM10 20.5a2.2 2.2 0 0 0 4 0",
  block: "M12 3.75a8.25 8.25 0 1 0 0 16.5 8.25 8.25 0 0 0 0-16.5zM6.2 6.2l11.6 11.6",
  camera: "M4 8h3.5L9 5.5h6L16.5 8H20v11H4zM12 16.5a3.25 3.25 0 1 0 0-6.5 3.25 3.25 0 0 0 0 6.5z",
  chat: "M4.5 6.5A2.5 2.5 0 0 1 7 4h10a2.5 2.5 0 0 1 2.5 2.5v7A2.5 2.5 0 0 1 17 16h-5.5L7 20v-4a2.5 2.5 0 0 1-2.5-2.5z",
  check: "M5 12.5 10 17.5 19.5 7",
  checks: "M2.5 12.5 7 17 15.5 7.5M12 16l1 1 9-9.5",
  clock: "M12 3.75a8.25 8.25 0 1 0 0 16.5 8.25 8.25 0 0 0 0-16.5zM12 7.5V12l3 2",
  close: "M6 6l12 12M18 6 6 18",
  copy: "M9 8.5h10.5V20H9zM5.5 15.5h-1V4H15v1.5",
  device: "M7.5 3.5h9v17h-9zM11 17.5h2",
  down: "M5.5 9 12 15.5 18.5 9",
  download: "M12 4v11M7 10.5l5 5 5-5M5 20h14",
  edit: "M5 19l1-4.5L16 4.5l3.5 3.5-10 10zM13.5 7l3.5 3.5",
  face: "M12 3.75a8.25 8.25 0 1 0 0 16.5 8.25 8.25 0 0 0 0-16.5zM8.5 14a4 4 0 0 0 7 0M9 9.5v.5M15 9.5v.5",
  file: "M6.5 3.5H14L18.5 8v12.5h-12zM14 3.5V8h4.5",
  filter: "M4 6.5h16M7 12h10M10 17.5h4",
  forward: "M9.5 5.5 16 12l-6.5 6.5",
  image: "M4 5h16v14H4zM4.5 17l5-5 4 4 2.5-2.5 3.5 3.5M15.5 9.5v.1",
  info: "M12 3.75a8.25 8.25 0 1 0 0 16.5 8.25 8.25 0 0 0 0-16.5zM12 11v5.5M12 7.5v.5",
  key: "M8 11.5a4 4 0 1 0 0 8 4 4 0 0 0 0-8zM10.9 12.6 19.5 4M16 7.5l3 3M13.5 10l2 2",
  keyboard: "M3 6.5h18v11H3zM7 10h.1M10.5 10h.1M14 10h.1M17.2 10h.1M8 14h8",
  link: "M10 14l4-4M8.5 11 6 13.5a3.2 3.2 0 0 0 4.5 4.5L13 15.5M15.5 13l2.5-2.5a3.2 3.2 0 0 0-4.5-4.5L11 8.5",
  lock: "M6 10.5h12V20H6zM8.5 10.5V8a3.5 3.5 0 0 1 7 0v2.5M12 14v2.5",
  menu: "M4.5 7h15M4.5 12h15M4.5 17h15",
  more: "M12 5.5v.1M12 12v.1M12 18.5v.1",
  muted: "M6 16.5V11a6 6 0 0 1 9-5.2M18 10.5v6M4.5 18h11M10 20.5a2.2 2.2 0 0 0 4 0M4 4l16 16",
  network:
    "M12 3.75a8.25 8.25 0 1 0 0 16.5 8.25 8.25 0 0 0 0-16.5zM12 2.5v2.5M12 19v2.5M2.5 12H5M19 12h2.5",
  node: "M4.5 5h15v5.5h-15zM4.5 13.5h15V19h-15zM8 7.75h.1M8 16.25h.1",
  palette:
    "M12 3.75a8.25 8.25 0 0 0 0 16.5c1.6 0 2-1 1.5-2.2-.6-1.5.3-2.8 2-2.8h2a2.7 2.7 0 0 0 2.7-2.9A8.2 8.2 0 0 0 12 3.75zM8 12v.1M10 8.2v.1M14.5 8v.1",
  people:
    "M9 11.5a3.25 3.25 0 1 0 0-6.5 3.25 3.25 0 0 0 0 6.5zM3 19.5c.4-3.2 2.7-5 6-5s5.6 1.8 6 5M15.5 5.2a3.25 3.25 0 0 1 0 6.1M17.5 14.8c2 .7 3.2 2.3 3.5 4.7",
  person:
    "M12 11.5a3.75 3.75 0 1 0 0-7.5 3.75 3.75 0 0 0 0 7.5zM5 20c.5-3.7 3.2-5.5 7-5.5s6.5 1.8 7 5.5",
  phone: "M7.5 3.5h9v17h-9zM11 17.5h2",
  pin: "M9 4h6l-.7 6 3.2 3v1.5h-11V13l3.2-3zM12 14.5V20.5",
  qr: "M4.5 4.5h5.5v5.5H4.5zM14 4.5h5.5v5.5H14zM4.5 14h5.5v5.5H4.5zM14 14h2v2h-2zM19.5 14v2.5M16.5 19.5h3V18M14 19.5v-.5",
  reply: "M9.5 6 4.5 11l5 5M5 11h8.5a6 6 0 0 1 6 6v1.5",
  retry: "M19.5 5v5h-5M19 10a7.5 7.5 0 1 0 .8 4.5",
  search: "M10.75 4.5a6.25 6.25 0 1 0 0 12.5 6.25 6.25 0 0 0 0-12.5zM15.5 15.5 20 20",
  send: "M4.5 12 4 4.5 20.5 12 4 19.5zM4.5 12h8",
  settings:
    "M4.5 7.5h8M16.5 7.5h3M4.5 16.5h3M11.5 16.5h8M14.5 5.5a2 2 0 1 0 0 4 2 2 0 0 0 0-4zM9.5 14.5a2 2 0 1 0 0 4 2 2 0 0 0 0-4z",
  shield: "M12 3.5 5 6v5.5c0 4.3 2.8 7.4 7 9 4.2-1.6 7-4.7 7-9V6z",
  shieldCheck: "M12 3.5 5 6v5.5c0 4.3 2.8 7.4 7 9 4.2-1.6 7-4.7 7-9V6zM8.5 12l2.5 2.5 4.5-5",
  storage:
    "M5 6.5C5 5 8 4 12 4s7 1 7 2.5v11c0 1.5-3 2.5-7 2.5s-7-1-7-2.5zM5 6.5C5 8 8 9 12 9s7-1 7-2.5M5 12c0 1.5 3 2.5 7 2.5s7-1 7-2.5",
  trash: "M5 7h14M9.5 7V4.5h5V7M6.5 7l1 13h9l1-13M10.5 11v5M13.5 11v5",
  upload: "M12 16V5M7 9.5l5-5 5 5M5 20h14",
  attach: "M8 12.5l6-6a3 3 0 0 1 4.3 4.3L10 19a4.7 4.7 0 0 1-6.7-6.7l7.7-7.6",
  warning: "M12 4 2.75 19.5h18.5zM12 10v4.5M12 17v.1",
} as const;

export type IconName = keyof typeof PATHS;

/** Icons that point along the reading direction and turn round with it. */
const DIRECTED: ReadonlySet<IconName> = new Set(["back", "forward", "reply", "send"]);

export interface IconProps {
  name: IconName;
  /** What it says to who cannot see it; without it the icon is decoration. */
  label?: string;
  size?: "s" | "m" | "l";
}

export function Icon({ name, label, size = "m" }: IconProps) {
  const turning = DIRECTED.has(name) ? " icon-directed" : name === "more" ? " icon-dots" : "";
  return (
    <svg
      class={`icon icon-${size}${turning}`}
      viewBox="0 0 24 24"
      role={label ? "img" : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : "true"}
      focusable="false"
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
