import "./logo.css";

/** The sign: a ring that is a speech bubble, and one node of it. */
export function Logo({ size = "m" }: { size?: "m" | "l" }) {
  return (
    <svg class={`logo logo-${size}`} viewBox="0 0 64 64" aria-hidden="true" focusable="false">
      <rect class="logo-ground" width="64" height="64" rx="16" />
      <path class="logo-ring" d="M43.6 20.4A16.5 16.5 0 1 0 48.5 32M20.3 43.7 15.5 50.5 27 47.7" />
      <circle class="logo-node" cx="47.5" cy="24" r="4.5" />
    </svg>
  );
}
