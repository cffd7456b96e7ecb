import type {
  ComponentChildren,
  InputHTMLAttributes,
  Ref,
  SelectHTMLAttributes,
  TextareaHTMLAttributes,
} from "preact";
import { useId } from "preact/hooks";
import "./field.css";
import { Icon } from "./icon";

interface Labelled {
  label: string;
  /** What helps to fill it in; stays while an error is shown. */
  hint?: ComponentChildren;
  /** What is wrong and what to do; read out when it appears. */
  error?: string | null | undefined;
  /** The label is read out, not shown. */
  labelHidden?: boolean;
}

type Taken = "label" | "value" | "onInput" | "onChange" | "size";

export interface FieldProps
  extends Labelled,
    Omit<InputHTMLAttributes<HTMLInputElement>, Taken | "role" | "type"> {
  type?: "text" | "search" | "url" | "time" | "date" | "number";
  value: string;
  onInput: (value: string) => void;
  ref?: Ref<HTMLInputElement>;
}

export function Field({ label, hint, error, labelHidden, onInput, ...rest }: FieldProps) {
  const ids = useFieldIds(hint, error);
  // Preact's type is a union over "type"; what remains of FieldProps is one case for all of them.
  const attributes = rest as InputHTMLAttributes<HTMLInputElement>;
  return (
    <Frame {...{ label, hint, error, labelHidden, ids }}>
      <input
        {...attributes}
        id={ids.control}
        class="field-control"
        aria-invalid={error ? "true" : undefined}
        aria-describedby={ids.describedBy}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </Frame>
  );
}

export interface TextAreaProps
  extends Labelled,
    Omit<TextareaHTMLAttributes<HTMLTextAreaElement>, Taken> {
  value: string;
  onInput: (value: string) => void;
  ref?: Ref<HTMLTextAreaElement>;
}

export function TextArea({ label, hint, error, labelHidden, onInput, ...rest }: TextAreaProps) {
  const ids = useFieldIds(hint, error);
  return (
    <Frame {...{ label, hint, error, labelHidden, ids }}>
      <textarea
        rows={3}
        {...rest}
        id={ids.control}
        class="field-control"
        aria-invalid={error ? "true" : undefined}
        aria-describedby={ids.describedBy}
        onInput={(event) => onInput(event.currentTarget.value)}
      />
    </Frame>
  );
}

export interface SelectProps
  extends Labelled,
    Omit<SelectHTMLAttributes<HTMLSelectElement>, Taken | "role" | "multiple"> {
  value: string;
  options: { value: string; label: string }[];
  onChange: (value: string) => void;
}

export function Select({
  label,
  hint,
  error,
  labelHidden,
  options,
  value,
  onChange,
  ...rest
}: SelectProps) {
  const ids = useFieldIds(hint, error);
  return (
    <Frame {...{ label, hint, error, labelHidden, ids }}>
      <select
        {...rest}
        id={ids.control}
        class="field-control"
        value={value}
        aria-describedby={ids.describedBy}
        onChange={(event) => onChange(event.currentTarget.value)}
      >
        {options.map((option) => (
          <option key={option.value} value={option.value}>
            {option.label}
          </option>
        ))}
      </select>
    </Frame>
  );
}

interface FieldIds {
  control: string;
  hint: string;
  error: string;
  describedBy: string | undefined;
}

function useFieldIds(hint: ComponentChildren, error: Labelled["error"]): FieldIds {
  const control = useId();
  const ids = { hint: `${control}-hint`, error: `${control}-error` };
  const describedBy = [hint && ids.hint, error && ids.error].filter(Boolean).join(" ");
  return { control, ...ids, describedBy: describedBy || undefined };
}

function Frame(
  props: { [name in keyof Labelled]?: Labelled[name] | undefined } & {
    ids: FieldIds;
    children: ComponentChildren;
  },
) {
  return (
    <div class="field">
      <label class={props.labelHidden ? "visually-hidden" : "field-label"} for={props.ids.control}>
        {props.label}
      </label>
      {props.children}
      {props.hint ? (
        <div class="field-hint" id={props.ids.hint}>
          {props.hint}
        </div>
      ) : null}
      {/* Always there, so that a screen reader notices what appears in it. */}
      <div class="field-error" id={props.ids.error} aria-live="polite">
        {props.error ? (
          <>
            <Icon name="warning" size="s" />
            <span>{props.error}</span>
          </>
        ) : null}
      </div>
    </div>
  );
}
