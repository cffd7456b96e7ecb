import type { ComponentChildren } from "preact";
import { useId } from "preact/hooks";
import "./toggle.css";

export interface ToggleProps {
  label: string;
  hint?: ComponentChildren;
  checked: boolean;
  disabled?: boolean;
  onChange: (checked: boolean) => void;
}

/** On or off, at once. The whole row can be pressed. */
export function Toggle({ label, hint, checked, disabled, onChange }: ToggleProps) {
  const id = useId();
  return (
    <div class="toggle">
      <label class="toggle-row" for={id}>
        <span class="toggle-label">{label}</span>
        <input
          id={id}
          class="toggle-switch"
          type="checkbox"
          role="switch"
          checked={checked}
          aria-checked={checked}
          disabled={disabled ?? false}
          aria-describedby={hint ? `${id}-hint` : undefined}
          onChange={(event) => onChange(event.currentTarget.checked)}
        />
      </label>
      {hint ? (
        <div class="toggle-hint" id={`${id}-hint`}>
          {hint}
        </div>
      ) : null}
    </div>
  );
}
