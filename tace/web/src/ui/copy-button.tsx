import { useEffect, useState } from "preact/hooks";
import { Button } from "./button";

const SHOWN_MS = 2_000;

/** Copies a text and says so on itself. */
export function CopyButton(props: {
  text: string;
  label: string;
  copiedLabel: string;
  variant?: "primary" | "secondary" | "quiet";
  /** The browser would not let it. */
  onRefused?: () => void;
}) {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return;
    const timer = setTimeout(() => setCopied(false), SHOWN_MS);
    return () => clearTimeout(timer);
  }, [copied]);
  const copy = () => {
    navigator.clipboard.writeText(props.text).then(
      () => setCopied(true),
      () => props.onRefused?.(),
    );
  };
  return (
    <Button variant={props.variant ?? "secondary"} icon={copied ? "check" : "copy"} onClick={copy}>
      {copied ? props.copiedLabel : props.label}
    </Button>
  );
}
