import type { ComponentChildren } from "preact";
import { useRef } from "preact/hooks";
import { Button } from "./button";
import type { IconName } from "./icon";

/** Lets a person choose one file. */
export function FileButton(props: {
  /** As the `accept` of an input. */
  accept: string;
  icon?: IconName;
  busy?: boolean;
  wide?: boolean;
  onFile: (file: File) => void;
  children: ComponentChildren;
}) {
  const input = useRef<HTMLInputElement>(null);
  return (
    <>
      <Button
        icon={props.icon ?? "upload"}
        busy={props.busy ?? false}
        wide={props.wide ?? false}
        onClick={() => input.current?.click()}
      >
        {props.children}
      </Button>
      <input
        ref={input}
        type="file"
        hidden
        accept={props.accept}
        onChange={(event) => {
          const field = event.currentTarget;
          const file = field.files?.[0];
          if (file) props.onFile(file);
          // The same file again is a choice, too.
          field.value = "";
        }}
      />
    </>
  );
}
