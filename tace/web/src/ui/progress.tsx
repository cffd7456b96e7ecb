import "./progress.css";

/** Something takes a moment. It turns; with reduced motion it stands and fades. */
export function Spinner({ size = "m", label }: { size?: "s" | "m" | "l"; label?: string }) {
  return (
    <span
      class={`spinner spinner-${size}`}
      role={label ? "img" : undefined}
      aria-label={label}
      aria-hidden={label ? undefined : "true"}
    />
  );
}

/** @param value 0 to 1. */
export function Progress({ value, label }: { value: number; label: string }) {
  return <progress class="progress" max={1} value={value} aria-label={label} />;
}
