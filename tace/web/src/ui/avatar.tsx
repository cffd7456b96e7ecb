import "./avatar.css";
import { initialsOf, lookOf } from "./look";

export interface AvatarProps {
  /** base64url; colour and shape come from it, so the same person looks the same everywhere. */
  identity: string;
  /** Where the initials come from. */
  name: string;
  size?: "s" | "m" | "l" | "xl";
}

/** A person's sign. Decoration: the name stands beside it. */
export function Avatar({ identity, name, size = "m" }: AvatarProps) {
  const { hue, shape } = lookOf(identity);
  const initials = initialsOf(name);
  return (
    <span
      class={`avatar avatar-${size} avatar-hue-${hue} avatar-shape-${shape}`}
      aria-hidden="true"
    >
      <bdi>{initials}</bdi>
    </span>
  );
}
