import type { ComponentChildren } from "preact";
import { Logo } from "../ui";
import "./plain-page.css";

/** A page without the shell: one thing in the middle of it. */
export function PlainPage({ children }: { children: ComponentChildren }) {
  return (
    <main class="plain-page">
      <div class="plain-page-column">
        <Logo size="l" />
        {children}
      </div>
    </main>
  );
}
