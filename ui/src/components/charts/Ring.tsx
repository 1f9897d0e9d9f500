import { number } from "@/lib/count";

export interface Slice {
  label: string;
  value: number;
  /** A custom property of the style sheet. */
  colour: string;
}

const RADIUS = 42;
const ROUND = 2 * Math.PI * RADIUS;

interface Props {
  /** Said in the middle and as the image's name, such as `3 members`. */
  title: string;
  slices: readonly Slice[];
}

/** A ring of shares. It repeats what the list beside it says in numbers. */
export function Ring({ title, slices }: Props) {
  const total = slices.reduce((sum, { value }) => sum + value, 0);
  const parts = slices.filter(({ value }) => value > 0);
  const text = parts.map(({ label, value }) => `${number(value)} ${label}`).join(", ");
  const starts = parts.map((_, at) => parts.slice(0, at).reduce((sum, { value }) => sum + value, 0));
  const [amount = "", ...unit] = title.split(" ");
  return (
    <svg className="ring" viewBox="0 0 120 120" role="img" aria-label={text === "" ? title : `${title}: ${text}`}>
      <circle className="ring__track" cx="60" cy="60" r={RADIUS} />
      {parts.map(({ label, value, colour }, at) => (
        <circle
          key={label}
          className="ring__part"
          cx="60"
          cy="60"
          r={RADIUS}
          stroke={`var(${colour})`}
          strokeDasharray={`${(value / total) * ROUND} ${ROUND}`}
          strokeDashoffset={-((starts[at] ?? 0) / total) * ROUND}
          transform="rotate(-90 60 60)"
        />
      ))}
      <text x="60" y="60" className="ring__number" aria-hidden="true">
        {amount}
      </text>
      <text x="60" y="76" className="ring__unit" aria-hidden="true">
        {unit.join(" ")}
      </text>
    </svg>
  );
}
