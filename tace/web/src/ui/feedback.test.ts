import { expect, test } from "vitest";
import { VirtualClock } from "../network/testing/clock";
import { Feedback } from "./feedback";

function parts() {
  const clock = new VirtualClock();
  const feedback = new Feedback((milliseconds, then) => clock.after(milliseconds, then));
  return { clock, feedback, texts: () => feedback.toasts.value.map((toast) => toast.text) };
}

test("a note goes by itself, a problem stays until it is closed", async () => {
  const { clock, feedback, texts } = parts();
  feedback.show("saved", { tone: "good" });
  feedback.show("broken", { tone: "problem" });
  await clock.advance(60_000);
  expect(texts()).toEqual(["broken"]);
  feedback.close(feedback.toasts.value[0]?.id ?? -1);
  expect(texts()).toEqual([]);
});

test("there are never more than three", () => {
  const { feedback, texts } = parts();
  for (const text of ["a", "b", "c", "d"]) feedback.show(text, { tone: "problem" });
  expect(texts()).toEqual(["b", "c", "d"]);
});

test("the same words can be announced again: in between there is silence", async () => {
  const { clock, feedback } = parts();
  feedback.announce("A new message");
  expect(feedback.announcement.value).toBe("A new message");
  await clock.advance(5_000);
  expect(feedback.announcement.value).toBe("");
});
