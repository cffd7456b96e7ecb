import "./progress.css";

/** Something takes a moment. It turns; with reduced motion it stands and fades. */
export function Spinner({ size = "m", label }: { size?: "s" | "m" | "l"; label?: string }) {
  const shape = <span class={`spinner spinner-${size}`} aria-hidden="true" />;
  return label === undefined ? (
    shape
  ) : (
    <>
      {shape}
      <span class="visually-hidden">{label}</span>
    </>
  );
}

/** @param value 0 to 1. */
export function Progress({ value, label }: { value: number; label: string }) {
  return <progress class="progress" max={1} value={value} aria-label={label} />;
}
