/** Numbers, times and sizes as a language writes them. All times are milliseconds since 1970. */

export interface Dates {
  /** 1,234.5 */
  number(value: number): string;
  /** 0.42 as 42 % */
  percent(fraction: number): string;
  /** 14:05 */
  time(ms: number): string;
  /** A date without the year where it is this year's. */
  date(ms: number, nowMs: number): string;
  /** Date and time, whole. */
  dateTime(ms: number): string;
  /** "Today", "Yesterday", the weekday within the last six days, else the date. */
  day(ms: number, nowMs: number): string;
  /** For lists: the time today, else the day. */
  short(ms: number, nowMs: number): string;
  /** "3 minutes ago", "in 5 seconds" */
  relative(ms: number, nowMs: number): string;
  /** 48 kB */
  bytes(count: number): string;
  /** "A, B and C" */
  list(items: readonly string[]): string;
}

const SECOND_MS = 1_000;
const MINUTE_MS = 60 * SECOND_MS;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;
const NAMED_DAYS = 6;

const STEPS: readonly [number, Intl.RelativeTimeFormatUnit][] = [
  [DAY_MS, "day"],
  [HOUR_MS, "hour"],
  [MINUTE_MS, "minute"],
  [SECOND_MS, "second"],
];

const BYTE_UNITS = ["byte", "kilobyte", "megabyte", "gigabyte", "terabyte"] as const;

/** Midnight to midnight, in local time; a day with a change of the clock is a day, too. */
export function daysBetween(earlierMs: number, laterMs: number): number {
  const midnight = (ms: number) => new Date(ms).setHours(0, 0, 0, 0);
  return Math.round((midnight(laterMs) - midnight(earlierMs)) / DAY_MS);
}

export function datesIn(locale: string): Dates {
  const number = new Intl.NumberFormat(locale);
  const percent = new Intl.NumberFormat(locale, { style: "percent" });
  const time = new Intl.DateTimeFormat(locale, { hour: "2-digit", minute: "2-digit" });
  const thisYear = new Intl.DateTimeFormat(locale, { day: "numeric", month: "short" });
  const otherYear = new Intl.DateTimeFormat(locale, { dateStyle: "medium" });
  const dateTime = new Intl.DateTimeFormat(locale, { dateStyle: "medium", timeStyle: "medium" });
  const weekday = new Intl.DateTimeFormat(locale, { weekday: "long" });
  const relative = new Intl.RelativeTimeFormat(locale, { numeric: "always" });
  const byName = new Intl.RelativeTimeFormat(locale, { numeric: "auto" });
  const list = new Intl.ListFormat(locale, { type: "conjunction" });

  const capital = (text: string) => text.charAt(0).toLocaleUpperCase(locale) + text.slice(1);
  const date = (ms: number, nowMs: number) =>
    (new Date(ms).getFullYear() === new Date(nowMs).getFullYear() ? thisYear : otherYear).format(
      ms,
    );
  const day = (ms: number, nowMs: number) => {
    const days = daysBetween(ms, nowMs);
    if (days === 0 || days === 1) return capital(byName.format(-days, "day"));
    return days > 1 && days <= NAMED_DAYS ? weekday.format(ms) : date(ms, nowMs);
  };

  return {
    number: (value) => number.format(value),
    percent: (fraction) => percent.format(fraction),
    time: (ms) => time.format(ms),
    date,
    dateTime: (ms) => dateTime.format(ms),
    day,
    short: (ms, nowMs) => (daysBetween(ms, nowMs) === 0 ? time.format(ms) : day(ms, nowMs)),
    relative: (ms, nowMs) => {
      const away = ms - nowMs;
      const [size, unit] = STEPS.find(([step]) => Math.abs(away) >= step) ?? [SECOND_MS, "second"];
      return relative.format(Math.round(away / size), unit);
    },
    bytes: (count) => {
      const power = count < 1_000 ? 0 : Math.floor(Math.log10(count) / 3);
      const at = Math.min(power, BYTE_UNITS.length - 1);
      const value = count / 1_000 ** at;
      return new Intl.NumberFormat(locale, {
        style: "unit",
        unit: BYTE_UNITS[at] ?? "byte",
        maximumFractionDigits: value < 10 && at > 0 ? 1 : 0,
      }).format(value);
    },
    list: (items) => list.format(items),
  };
}
