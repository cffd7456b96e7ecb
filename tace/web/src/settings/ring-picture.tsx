import { useI18n } from "../app/i18n";
import type { RingView } from "../engine/contract";
import { pointAt } from "./ring-geometry";

const SIZE = 240;
const RADIUS = 96;
const NODE_RADIUS = 4.5;
const OWN_RADIUS = 8;
/** More dots than this run into each other and would be drawn for nothing. */
const MOST_DOTS = 256;

/** The ring as it is: 0 at the top, growing clockwise, each node at its place. */
export function RingPicture({ ring }: { ring: RingView }) {
  const { t, dates } = useI18n();
  const own = ring.positions.find((position) => position.own);
  const others = ring.positions.filter((position) => !position.own).slice(0, MOST_DOTS);
  const label = t("settings.network.ring-picture", {
    count: ring.members,
    place: dates.percent(own?.at ?? 0),
  });
  return (
    <figure class="ring-picture">
      <svg viewBox={`0 0 ${SIZE} ${SIZE}`} role="img" aria-label={label}>
        <circle class="ring-picture-ring" cx={SIZE / 2} cy={SIZE / 2} r={RADIUS} />
        <line
          class="ring-picture-zero"
          x1={SIZE / 2}
          x2={SIZE / 2}
          y1={SIZE / 2 - RADIUS - 7}
          y2={SIZE / 2 - RADIUS + 7}
        />
        {others.map((position) => {
          const { x, y } = pointAt(position.at, SIZE / 2, RADIUS);
          return (
            <circle key={position.node} class="ring-picture-node" cx={x} cy={y} r={NODE_RADIUS} />
          );
        })}
        {own ? <OwnNode at={own.at} /> : null}
        <text class="ring-picture-count" x={SIZE / 2} y={SIZE / 2 - 2}>
          {dates.number(ring.members)}
        </text>
        <text class="ring-picture-word" x={SIZE / 2} y={SIZE / 2 + 22}>
          {t("settings.network.members", { count: ring.members }).replace(/^\S+\s/, "")}
        </text>
      </svg>
      <figcaption class="ring-picture-legend">
        <svg viewBox="0 0 24 24" aria-hidden="true">
          <circle class="ring-picture-own-halo" cx="12" cy="12" r="10" />
          <circle class="ring-picture-own" cx="12" cy="12" r="5.5" />
        </svg>
        {t("settings.network.yours")}
      </figcaption>
    </figure>
  );
}

function OwnNode({ at }: { at: number }) {
  const { x, y } = pointAt(at, SIZE / 2, RADIUS);
  return (
    <g>
      <circle class="ring-picture-own-halo" cx={x} cy={y} r={OWN_RADIUS + 6} />
      <circle class="ring-picture-own" cx={x} cy={y} r={OWN_RADIUS} />
    </g>
  );
}
